// The shape of launches that treat elements or rows alone: enough blocks to fill the GPU, each
// thread going on in strides of the whole grid.
#pragma once

#include <algorithm>

#include "cuda/check.h"
#include "cuda/context.h"

namespace ballast::cuda {

constexpr int kThreads = 256;

// Blocks for `items` threads; at most what keeps every multiprocessor busy for a while.
inline unsigned BlocksFor(const Context& context, std::int64_t items) {
  const std::int64_t most = static_cast<std::int64_t>(context.processors) * 32;
  return static_cast<unsigned>(std::min(DivideUp(items, kThreads), most));
}

template <class Body>
__global__ void for_each_kernel(std::int64_t count, Body body) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    body(i);
  }
}

// Calls the device function body(i) for i in 0 … count − 1, in any order.
template <class Body>
void ForEach(const Context& context, const char* operation, std::int64_t count, Body body) {
  if (count == 0) return;
  for_each_kernel<<<BlocksFor(context, count), kThreads, 0, context.stream>>>(count, body);
  CheckLaunch(operation);
}

}  // namespace ballast::cuda
