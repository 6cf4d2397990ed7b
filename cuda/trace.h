// tr(M), of which damping is a share.
#pragma once

#include <cstdint>

#include "cuda/context.h"

namespace ballast::cuda {

// out [1] = the trace of matrix [n, n].
void Trace(const Context& context, const char* operation, const float* matrix, std::int64_t n,
           double* out);

}  // namespace ballast::cuda
