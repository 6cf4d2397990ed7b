// Sums over a row in float64, and the moments that layer norm and its gradient take from it.
#pragma once

#include "cuda/row_shape.cuh"

namespace ballast::cuda {

// Σ f(x_i); every thread of the row receives it.
template <class Shape, class F>
__device__ __forceinline__ double row_sum(const float* x, int n, F f) {
  double sums[Shape::kWidth] = {};  // apart: an addition need not wait for the one before
  for_own<Shape>(x, n, [&](int j, float value) { sums[j] += f(value); });
  double sum = sums[0];
#pragma unroll
  for (int j = 1; j < Shape::kWidth; ++j) sum += sums[j];
  return row_reduce<Shape>(sum, Sum{}, 0.0);
}

struct RowMoments {
  double mean;
  double inverse;  // 1 / sqrt(variance + eps)
};

template <class Shape>
__device__ __forceinline__ RowMoments row_moments(const float* x, int n, double eps) {
  const double mean = row_sum<Shape>(x, n, [](double value) { return value; }) / n;
  const double squares = row_sum<Shape>(x, n, [mean](double value) {
    const double distance = value - mean;
    return distance * distance;
  });
  return {mean, 1 / sqrt(squares / n + eps)};
}

}  // namespace ballast::cuda
