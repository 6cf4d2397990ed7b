// What layer norm and its gradient take from a row, by all threads of a block and in float64.
#pragma once

#include "cuda/reduce.cuh"

namespace ballast::cuda {

struct RowMoments {
  double mean;
  double inverse;  // 1 / sqrt(variance + eps)
};

__device__ __forceinline__ RowMoments row_moments(const float* x, int n, double eps) {
  double sum = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) sum += x[i];
  const double mean = block_reduce(sum, Sum{}, 0.0) / n;
  double squares = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    const double distance = x[i] - mean;
    squares += distance * distance;
  }
  return {mean, 1 / sqrt(block_reduce(squares, Sum{}, 0.0) / n + eps)};
}

}  // namespace ballast::cuda
