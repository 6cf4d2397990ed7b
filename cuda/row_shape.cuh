// How kernels that treat rows alone divide them: a block a row, or where rows are short a warp a
// row, because blocks of a single warp would be too few to keep a GPU's memory busy; and 16 bytes
// at a time where all rows begin at such.
#pragma once

#include "cuda/context.h"
#include "cuda/reduce.cuh"
#include "cuda/wide.cuh"

namespace ballast::cuda {

constexpr std::int64_t kLongestWarpRow = 1024;

// Blocks are [threads of a row, rows]; a thread has words threadIdx.x, + blockDim.x, … of its row.
template <int kWordWidth, bool kOfWarp>
struct RowShape {
  static constexpr int kWidth = kWordWidth;
  static constexpr bool kWarpRow = kOfWarp;
};
using BlockRow = RowShape<1, false>;

__device__ __forceinline__ std::int64_t own_row() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
}

// Over the threads of a row; each receives the result.
template <class Shape, class T, class Combine>
__device__ __forceinline__ T row_reduce(T value, Combine combine, T identity) {
  if constexpr (Shape::kWarpRow) return warp_reduce(value, combine);
  return block_reduce(value, combine, identity);
}

// f(x_i) for the thread's own numbers of a row of n.
template <class Shape, class F>
__device__ __forceinline__ void for_own(const float* x, int n, F f) {
  for_words<Shape::kWidth>(x, n / Shape::kWidth, static_cast<int>(threadIdx.x),
                           static_cast<int>(blockDim.x), f);
}

// Calls launch(shape, blocks, threads) for rows of n; wide: whether they may be read in wide words.
template <class F>
void WithRowShape(std::int64_t rows, std::int64_t n, bool wide, F launch) {
  constexpr int kWarpRows = 8;  // of a block
  if (n <= kLongestWarpRow) {
    const auto blocks = static_cast<unsigned>(DivideUp(rows, kWarpRows));
    const dim3 threads(kWarp, kWarpRows);
    return wide ? launch(RowShape<kWide, true>{}, blocks, threads)
                : launch(RowShape<1, true>{}, blocks, threads);
  }
  const auto blocks = static_cast<unsigned>(rows);
  wide ? launch(RowShape<kWide, false>{}, blocks, dim3(ThreadsForRow(n / kWide)))
       : launch(RowShape<1, false>{}, blocks, dim3(ThreadsForRow(n)));
}

}  // namespace ballast::cuda
