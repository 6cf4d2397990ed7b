// What the two kernels of the product share: their arguments, which tile of C comes when, and what
// happens to sums on their way to memory. A warp holds 16×32 sums as tensor cores leave them, two
// neighbours a thread; they pass through shared memory so that rows are read and written whole.
#pragma once

#include <cuda_bf16.h>

#include <algorithm>
#include <cstdint>

#include "cuda/activation.cuh"
#include "cuda/gemm.h"
#include "cuda/reduce.cuh"
#include "cuda/wide.cuh"

namespace ballast::cuda {

constexpr int kTileRows = 128;
static_assert(kTileRows == kItemUnit);

struct GemmArguments {
  const __nv_bfloat16* a;
  const __nv_bfloat16* b;
  std::int64_t a_plane;  // elements from plane to plane
  std::int64_t b_plane;
  std::int64_t depth;  // padded
  std::int64_t rows;
  std::int64_t columns;
  int row_tiles = 0;  // these three by Tiled
  int column_tiles = 0;
  int tiles = 0;  // that have elements to make
  float* out;
  __nv_bfloat16* rounded;  // or this
  std::int64_t stride;
  const float* bias;
  const float* residual;
  Activation activation;
  Update update;
  bool upper;
  bool by_fours;  // four numbers of `out` or `rounded` and of `residual` can be moved at once
};

// Tiles of a column that reach above the diagonal, where there are so many.
template <int kRows, int kColumns>
__host__ __device__ __forceinline__ int upper_tiles(int column) {
  return ((column + 1) * kColumns + kRows - 1) / kRows;
}

// Fills in the tiles of as many rows and columns as the kernel takes; a cluster of blocks makes one
// of 128 rows for each.
template <int kRows, int kColumns>
GemmArguments Tiled(GemmArguments p) {
  p.row_tiles = static_cast<int>(DivideUp(p.rows, kRows));
  p.column_tiles = static_cast<int>(DivideUp(p.columns, kColumns));
  p.tiles = p.row_tiles * p.column_tiles;
  if (!p.upper) return p;
  p.tiles = 0;
  for (int column = 0; column < p.column_tiles; ++column) {
    p.tiles += std::min(upper_tiles<kRows, kColumns>(column), p.row_tiles);
  }
  return p;
}

// Tiles in turn share tiles of A and B in the level-2 cache: bands of 1024 rows, column by column;
// above the diagonal each band begins with the steps that it takes along it.
template <int kRows>
constexpr int kBand = 1024 / kRows;

template <int kRows, int kColumns>
__device__ __forceinline__ void place_upper_tile(const GemmArguments& p, int tile, int& row,
                                                 int& column) {
  for (int first = 0;; first += kBand<kRows>) {
    const int height = min(p.row_tiles - first, kBand<kRows>);
    column = first * kRows / kColumns;
    for (; column < p.column_tiles; ++column) {
      const int own = upper_tiles<kRows, kColumns>(column) - first;
      if (own >= height) break;
      row = first + tile;
      if (tile < own) return;
      tile -= own;
    }
    const int rest = max(p.column_tiles - column, 0) * height;
    row = first + tile % height;
    if (tile < rest) {
      column += tile / height;
      return;
    }
    tile -= rest;
  }
}

template <int kRows, int kColumns>
__device__ __forceinline__ void place_tile(const GemmArguments& p, int tile, int& row,
                                           int& column) {
  if (p.upper) return place_upper_tile<kRows, kColumns>(p, tile, row, column);
  const int in_band = kBand<kRows> * p.column_tiles;
  const int first = tile / in_band * kBand<kRows>, rest = tile % in_band;
  const int height = min(p.row_tiles - first, kBand<kRows>);
  row = first + rest % height;
  column = rest / height;
}

constexpr int kPatchRows = 16;
constexpr int kPatchColumns = 32;
constexpr int kPatchSums = kPatchRows * kPatchColumns / kWarp;  // of a thread
// Rows of the eight that a warp writes at once lie in different banks, four and four.
constexpr int kPatchPitch = kPatchColumns + 8;
constexpr int kPatchSize = kPatchRows * kPatchPitch;

// out = sum + residual, added to or subtracted from what was there. A lane takes kWidth elements of
// every kStep-th row, four rows at a time: their reads come before the first write, so that they
// wait for memory once.
template <int kWidth>
__device__ __forceinline__ void write_rows(const GemmArguments& p, const float* patch,
                                           std::int64_t row, std::int64_t column) {
  constexpr int kLanes = kPatchColumns / kWidth, kStep = kWarp / kLanes, kTurns = 4;
  const int lane = threadIdx.x % kWarp, x = lane % kLanes * kWidth;
  if (column + x >= p.columns) return;
#pragma unroll 1
  for (int first = lane / kLanes; first < kPatchRows; first += kTurns * kStep) {
    // Rows from here on that are inside and above the diagonal; the lane has every kStep-th.
    const std::int64_t left = (p.upper ? min(p.rows, column + x + 1) : p.rows) - row - first;
    const auto turns =
        static_cast<int>(min(left + kStep - 1, std::int64_t{kTurns * kStep}) / kStep);
    const std::int64_t at = (row + first) * p.stride + column + x, next = kStep * p.stride;
    Floats<kWidth> residual[kTurns] = {}, before[kTurns] = {};
    if (p.residual != nullptr) {
#pragma unroll
      for (int i = 0; i < kTurns; ++i) {
        if (i < turns) residual[i] = load_floats<kWidth>(p.residual + at + i * next);
      }
    }
    if (p.update != Update::kStore) {
#pragma unroll
      for (int i = 0; i < kTurns; ++i) {
        if (i < turns) before[i] = load_floats<kWidth>(p.out + at + i * next);
      }
    }
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
      if (i >= turns) continue;
      auto sum = load_floats<kWidth>(patch + (first + i * kStep) * kPatchPitch + x);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        if (p.residual != nullptr) sum.of[j] += residual[i].of[j];
        if (p.update == Update::kAdd) sum.of[j] = before[i].of[j] + sum.of[j];
        if (p.update == Update::kSubtract) sum.of[j] = before[i].of[j] - sum.of[j];
      }
      if (p.rounded != nullptr) {
        store_floats(p.rounded + at + i * next, 0, sum);
      } else {
        store_floats(p.out + at + i * next, 0, sum);
      }
    }
  }
}

// activation(sum + bias) in place; a lane has a column. Not unrolled: it would be the largest part
// of the kernel.
__device__ __forceinline__ void activate_patch(const GemmArguments& p, float* patch,
                                               std::int64_t column) {
  const int lane = threadIdx.x % kWarp;
  const bool has_bias = p.bias != nullptr && column + lane < p.columns;
  const float bias = has_bias ? p.bias[column + lane] : 0.0f;
#pragma unroll 1
  for (int y = 0; y < kPatchRows; ++y) {
    float& sum = patch[y * kPatchPitch + lane];
    sum = activate_element(p.activation, has_bias ? sum + bias : sum);
  }
}

// A warp's sums of rows `row` … and columns `column` … of C go to memory by way of its patch. Sum i
// lies in row lane/4 (+8 for the upper two of four), column 2·(lane%4) + i%2 of the i/4-th eight.
__device__ __forceinline__ void write_sums(const GemmArguments& p, const float* sums,
                                           std::int64_t row, std::int64_t column, float* patch) {
  if (row >= p.rows || column >= p.columns) return;
  if (p.upper && column + kPatchColumns <= row) return;
  const int lane = threadIdx.x % kWarp;
  __syncwarp();  // the patch before is written
#pragma unroll
  for (int i = 0; i < kPatchSums; i += 2) {
    float* to = patch + (lane / 4 + i / 2 % 2 * 8) * kPatchPitch + i / 4 * 8 + lane % 4 * 2;
    store_floats(to, 0, Floats<2>{sums[i], sums[i + 1]});
  }
  __syncwarp();
  if (p.bias != nullptr || p.activation != Activation::kNone) {
    activate_patch(p, patch, column);
    __syncwarp();
  }
  const bool whole =
      column + kPatchColumns <= p.columns && !(p.upper && column < row + kPatchRows - 1);
  if (p.by_fours && whole) {
    write_rows<4>(p, patch, row, column);
  } else {
    write_rows<1>(p, patch, row, column);
  }
}

}  // namespace ballast::cuda
