// CUDA's status codes as errors: one sentence that says what was under way and what to do about it.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

namespace ballast::cuda {

// `doing` completes "The GPU failed while ...", such as "copying to the host".
void Check(cudaError_t status, const char* doing);

// After every launch; `operation` is its name in JavaScript.
void CheckLaunch(const char* operation);

}  // namespace ballast::cuda
