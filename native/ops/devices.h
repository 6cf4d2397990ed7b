// Which devices this build and machine have: the one list that knows every backend.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "native/ops/device.h"

namespace ballast {

struct DeviceInfo {
  std::string name;
  bool available = false;
  // What it is, or why it is not available.
  std::string description;
};

std::vector<DeviceInfo> ListDevices();
// `threads` is how many threads a CPU device computes with; 0 is BALLAST_THREADS or one for
// each processor that the process may use. Throws Error{kUnsupported} for a name that is not
// available and says why.
std::unique_ptr<Device> OpenDevice(const std::string& name, int threads);

}  // namespace ballast
