// Finds and loads `ballast-cuda.so`, which lies beside the addon. The addon never links to it, so
// that it loads on machines without a GPU.
#pragma once

#include <string>
#include <vector>

#include "cuda/interface.h"

namespace ballast::cuda {

struct GpuInfo {
  std::string name;  // "cuda:0"
  bool available = false;
  std::string description;
};

// The GPUs of this machine, or one entry "cuda" that says why there is none.
std::vector<GpuInfo> ListGpus();

// The library's functions, loaded once for the life of the process. Throws Error{kUnsupported}.
const Functions& Library();

}  // namespace ballast::cuda
