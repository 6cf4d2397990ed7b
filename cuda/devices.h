// Which GPUs the driver shows, what they are, and in plain words why one cannot be used.
#pragma once

#include "cuda/interface.h"

namespace ballast::cuda {

// Throws Error{kUnsupported} with the reason when there is none.
int DeviceCount();
void Describe(int device, DeviceDescription& description);

}  // namespace ballast::cuda
