// The backend that hands every operation to `ballast-cuda.so`.
#pragma once

#include <memory>

#include "native/backend/backend.h"

namespace ballast::cuda {

// Throws Error{kUnsupported} or Error{kCuda} with the reason when the GPU cannot be used.
std::unique_ptr<Backend> CreateCudaBackend(int device);

}  // namespace ballast::cuda
