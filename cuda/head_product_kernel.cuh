// Products of many small matrices, one of each (sequence, head): a block of 16×16 threads makes a
// tile of 64×64 elements of one of them, each thread 4×4. The factors are read where they lie, by
// their strides, and multiplied on the ordinary float32 units: packing scores for the tensor cores
// would move three times the bytes that these products read, and memory is what bounds them.
#pragma once

#include <cstdint>

#include "cuda/numbers.cuh"

namespace ballast::cuda {

constexpr int kHeadSide = 16;  // threads along an edge of a tile, and the depth of a step
constexpr int kHeadThreads = kHeadSide * kHeadSide;
constexpr int kHeadPerThread = 4;
constexpr int kHeadTile = kHeadSide * kHeadPerThread;
// 16 bytes longer than a row is: keeps four rows' loads whole and spreads stores over the banks.
constexpr int kHeadPitch = kHeadTile + 4;

// Elements from each to the next, of a matrix for each (sequence, head).
struct HeadStrides {
  std::int64_t sequence;
  std::int64_t head;
  std::int64_t row;
  std::int64_t column;
};

// out = scale · A B.
struct HeadProductArguments {
  const float* a;  // [rows, depth] of each
  const float* b;  // [depth, columns]
  float* out;      // [rows, columns]
  HeadStrides a_strides;
  HeadStrides b_strides;
  HeadStrides out_strides;
  int rows;
  int columns;
  int depth;
  int row_tiles;
  int column_tiles;
  int heads;
  int sharing;  // heads that read one matrix of B
  float scale;
};

// tile[k][i] = item i at depth k, zero beyond the operand. Neighbouring threads read neighbours,
// whichever way the operand lies.
template <bool kRounded>
__device__ __forceinline__ void load_head_tile(const float* from, std::int64_t item_stride,
                                               std::int64_t depth_stride, int items, int depth,
                                               float (*tile)[kHeadPitch]) {
  const bool along_depth = depth_stride == 1;
#pragma unroll
  for (int step = 0; step < kHeadPerThread; ++step) {
    const int index = step * kHeadThreads + static_cast<int>(threadIdx.x);
    const int item = along_depth ? index / kHeadSide : index % kHeadTile;
    const int k = along_depth ? index % kHeadSide : index / kHeadTile;
    float x = 0;
    if (item < items && k < depth) x = from[item * item_stride + k * depth_stride];
    if (kRounded) x = __bfloat162float(__float2bfloat16_rn(x));
    tile[k][item] = x;
  }
}

// kRounded: factors are rounded to bfloat16. A thread has rows 4·ty … and columns tx, tx + 16, …
template <bool kRounded>
__global__ void __launch_bounds__(kHeadThreads) head_product_kernel(const HeadProductArguments p) {
  __shared__ __align__(16) float a_tile[kHeadSide][kHeadPitch];
  __shared__ float b_tile[kHeadSide][kHeadPitch];
  const int tx = threadIdx.x % kHeadSide, ty = threadIdx.x / kHeadSide;

  // 1. Which tile of which matrices.
  const int tiles = p.row_tiles * p.column_tiles;
  const int matrix = blockIdx.x / tiles, tile = blockIdx.x % tiles;
  const int sequence = matrix / p.heads, head = matrix % p.heads;
  const int row0 = tile / p.column_tiles * kHeadTile, column0 = tile % p.column_tiles * kHeadTile;
  const float* a = p.a + sequence * p.a_strides.sequence + head * p.a_strides.head;
  const float* b = p.b + sequence * p.b_strides.sequence + head / p.sharing * p.b_strides.head;
  a += row0 * p.a_strides.row;
  b += column0 * p.b_strides.column;
  const int row = row0 + ty * kHeadPerThread, column = column0 + tx;
  const bool has_work = row < p.rows && column < p.columns;

  // 2. Step by step through the depth.
  float sums[kHeadPerThread][kHeadPerThread] = {};
  for (int k0 = 0; k0 < p.depth; k0 += kHeadSide) {
    __syncthreads();  // the tiles before are read
    load_head_tile<kRounded>(a + k0 * p.a_strides.column, p.a_strides.row, p.a_strides.column,
                             p.rows - row0, p.depth - k0, a_tile);
    load_head_tile<kRounded>(b + k0 * p.b_strides.row, p.b_strides.column, p.b_strides.row,
                             p.columns - column0, p.depth - k0, b_tile);
    __syncthreads();
    if (!has_work) continue;
#pragma unroll
    for (int k = 0; k < kHeadSide; ++k) {
      const float4 four = *reinterpret_cast<const float4*>(&a_tile[k][ty * kHeadPerThread]);
      const float factors[kHeadPerThread] = {four.x, four.y, four.z, four.w};
#pragma unroll
      for (int j = 0; j < kHeadPerThread; ++j) {
        const float factor = b_tile[k][tx + j * kHeadSide];
#pragma unroll
        for (int i = 0; i < kHeadPerThread; ++i) {
          sums[i][j] = fmaf(factors[i], factor, sums[i][j]);
        }
      }
    }
  }

  // 3. Write what lies inside.
  float* out = p.out + sequence * p.out_strides.sequence + head * p.out_strides.head;
#pragma unroll
  for (int i = 0; i < kHeadPerThread; ++i) {
#pragma unroll
    for (int j = 0; j < kHeadPerThread; ++j) {
      const int at = column + j * kHeadSide;
      if (row + i >= p.rows || at >= p.columns) continue;
      out[(row + i) * p.out_strides.row + at * p.out_strides.column] = sums[i][j] * p.scale;
    }
  }
}

}  // namespace ballast::cuda
