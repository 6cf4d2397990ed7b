#include "cuda/check.h"
#include "cuda/grid_loop.cuh"
#include "cuda/reduce.cuh"
#include "cuda/trace.h"

namespace ballast::cuda {
namespace {

// One block.
__global__ void trace_kernel(const float* matrix, std::int64_t n, double* out) {
  double sum = 0;
  for (std::int64_t j = threadIdx.x; j < n; j += blockDim.x) sum += matrix[j * (n + 1)];
  sum = block_reduce(sum, Sum{}, 0.0);
  if (threadIdx.x == 0) *out = sum;
}

}  // namespace

void Trace(const Context& context, const char* operation, const float* matrix, std::int64_t n,
           double* out) {
  trace_kernel<<<1, kThreads, 0, context.stream>>>(matrix, n, out);
  CheckLaunch(operation);
}

}  // namespace ballast::cuda
