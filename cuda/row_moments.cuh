// Sums over a row in float64, and the moments that layer norm and its gradient take from it. A row
// belongs to a block, or where it is short to a warp: blocks of a single warp would be too few to
// keep a GPU's memory busy.
#pragma once

#include "cuda/reduce.cuh"
#include "cuda/wide.cuh"

namespace ballast::cuda {

constexpr int kRowWarps = 8;  // of a block whose warps have a row each
constexpr std::int64_t kLongestWarpRow = 1024;

constexpr int kTogether = 4;  // words of a thread under way at once

// Blocks are [threads of a row, rows]; kWidth numbers are loaded at once.
template <int kWordWidth, bool kOfWarp>
struct RowShape {
  static constexpr int kWidth = kWordWidth;
  static constexpr bool kWarpRow = kOfWarp;
};
using BlockRow = RowShape<1, false>;

// Σ f(x_i); every thread of the row receives it.
template <class Shape, class F>
__device__ __forceinline__ double row_sum(const float* x, int n, F f) {
  constexpr int kWidth = Shape::kWidth;
  const int words = n / kWidth;
  double sums[kWidth] = {};
  for (int first = threadIdx.x; first < words; first += kTogether * blockDim.x) {
    Floats<kWidth> word[kTogether];
#pragma unroll
    for (int k = 0; k < kTogether; ++k) {
      const int i = first + k * blockDim.x;
      if (i < words) word[k] = load_floats<kWidth>(x, i);
    }
#pragma unroll
    for (int k = 0; k < kTogether; ++k) {
      if (first + k * blockDim.x >= words) break;
#pragma unroll
      for (int j = 0; j < kWidth; ++j) sums[j] += f(word[k].of[j]);
    }
  }
  double sum = sums[0];
#pragma unroll
  for (int j = 1; j < kWidth; ++j) sum += sums[j];
  return Shape::kWarpRow ? warp_reduce(sum, Sum{}) : block_reduce(sum, Sum{}, 0.0);
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
