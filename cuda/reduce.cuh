// Sums and extremes over a warp or a block, in an order that the shape of the launch alone decides:
// the same digits at every run.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace ballast::cuda {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

// Threads of a block that a row of n elements can keep busy: whole warps.
inline int ThreadsForRow(std::int64_t n) {
  int threads = kWarp;
  while (threads < 512 && threads * 4 < n) threads *= 2;
  return threads;
}

struct Sum {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a + b;
  }
};
// NaN is passed over, as fminf and fmaxf do.
struct Least {
  __device__ __forceinline__ float operator()(float a, float b) const { return fminf(a, b); }
};
struct Largest {
  __device__ __forceinline__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

// Every lane receives the result over each `kLanes` neighbouring lanes.
template <int kLanes = kWarp, class T, class Combine>
__device__ __forceinline__ T warp_reduce(T value, Combine combine) {
#pragma unroll
  for (int offset = kLanes / 2; offset > 0; offset /= 2) {
    value = combine(value, __shfl_xor_sync(kAllLanes, value, offset));
  }
  return value;
}

// Every thread of a block of whole warps receives the result. All threads must call it.
template <class T, class Combine>
__device__ T block_reduce(T value, Combine combine, T identity) {
  __shared__ T partial[kWarp];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  value = warp_reduce(value, combine);
  __syncthreads();  // a call before this one may still be reading
  if (lane == 0) partial[warp] = value;
  __syncthreads();
  value = lane < static_cast<int>(blockDim.x) / kWarp ? partial[lane] : identity;
  return warp_reduce(value, combine);
}

}  // namespace ballast::cuda
