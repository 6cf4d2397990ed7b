// The product on mma.sync, for every GPU: a block of 8 warps makes a tile of 128×128 elements of C,
// each warp 64×32 of it. Tiles of the packed factors arrive through a ring of stages (cp.async)
// while earlier ones are multiplied. Products of a stage are summed apart and then added to the
// total with rounding: the tensor cores cut their sums, which over a long depth would add up in one
// direction.
#pragma once

#include "cuda/gemm_tile.cuh"
#include "cuda/tensor_core.cuh"

namespace ballast::cuda {

constexpr int kTile = kTileRows;  // and columns
constexpr int kGemmThreads = 256;
constexpr int kWarpRows = 64;
constexpr int kWarpColumns = 32;
constexpr int kRowFragments = kWarpRows / 16;
constexpr int kColumnFragments = kWarpColumns / 8;
static_assert(kWarpRows % kPatchRows == 0 && kWarpColumns == kPatchColumns);

// The number of planes decides the depth of a stage: all stages together fit the 99 KB of shared
// memory that every GPU since compute capability 8.0 gives a block.
template <int kPlanesA, int kPlanesB>
struct Stages {
  static constexpr int kPlanes = kPlanesA + kPlanesB;
  static constexpr int kDepth = kPlanes == 2 ? 64 : 32;
  static constexpr int kCount = kPlanes <= 4 ? 3 : 2;
  static constexpr int kPlane = kTile * kDepth;    // elements of a plane's tile
  static constexpr int kStage = kPlanes * kPlane;  // elements of a stage: planes of A, then of B
  static constexpr int kBytes = kCount * kStage * 2;
  static_assert(kBytes <= 96 * 1024 && kDepthUnit % kDepth == 0);
  static_assert(kGemmThreads / kWarp * kPatchSize * sizeof(float) <= kBytes);
};

// Where 16 bytes of a row of a tile lie: exchanged with each other so that the eight rows that a
// fragment load reads at once are in different banks.
template <int kDepth>
__device__ __forceinline__ int tile_offset(int row, int chunk) {
  constexpr int kChunks = kDepth / 8;
  const int exchange = kChunks == 8 ? row & 7 : (row >> 1) & 3;
  return row * kDepth + (chunk ^ exchange) * 8;
}

// A tile of one plane, from row `first` and depth `k` on.
template <int kDepth>
__device__ __forceinline__ void fetch_tile(const __nv_bfloat16* plane, std::int64_t depth,
                                           std::int64_t first, std::int64_t k,
                                           __nv_bfloat16* tile) {
  constexpr int kChunks = kDepth / 8;
#pragma unroll
  for (int i = 0; i < kTile * kChunks / kGemmThreads; ++i) {
    const int index = i * kGemmThreads + threadIdx.x;
    const int row = index / kChunks, chunk = index % kChunks;
    copy_async(tile + tile_offset<kDepth>(row, chunk),
               plane + (first + row) * depth + k + chunk * 8);
  }
}

using Sums = float[kRowFragments][kColumnFragments][4];

// sums += the warp's part of one stage. Products of small parts come first.
template <int kPlanesA, int kPlanesB>
__device__ __forceinline__ void multiply_stage(const __nv_bfloat16* stage, int warp_row,
                                               int warp_column, Sums& sums) {
  using S = Stages<kPlanesA, kPlanesB>;
  const int lane = threadIdx.x % kWarp;
  const int a_row = warp_row + lane % 16, a_chunk = lane / 16;
  const int b_row = warp_column + lane / 16 * 8 + lane % 8, b_chunk = lane / 8 % 2;
#pragma unroll
  for (int step = 0; step < S::kDepth / 16; ++step) {
    unsigned b[kPlanesB][kColumnFragments][2];
#pragma unroll
    for (int plane = 0; plane < kPlanesB; ++plane) {
#pragma unroll
      for (int n = 0; n < kColumnFragments; n += 2) {
        unsigned four[4];
        load_matrices(four, stage + (kPlanesA + plane) * S::kPlane +
                                tile_offset<S::kDepth>(b_row + n * 8, step * 2 + b_chunk));
        b[plane][n][0] = four[0];
        b[plane][n][1] = four[1];
        b[plane][n + 1][0] = four[2];
        b[plane][n + 1][1] = four[3];
      }
    }
#pragma unroll
    for (int m = 0; m < kRowFragments; ++m) {
      unsigned a[kPlanesA][4];
#pragma unroll
      for (int plane = 0; plane < kPlanesA; ++plane) {
        load_matrices(a[plane], stage + plane * S::kPlane +
                                    tile_offset<S::kDepth>(a_row + m * 16, step * 2 + a_chunk));
      }
#pragma unroll
      for (int n = 0; n < kColumnFragments; ++n) {
        // Parts i and j together are 2^-8(i + j) of the whole: those that are as small as what the
        // planes do not hold are left out.
#pragma unroll
        for (int order = kMostOrder<kPlanesA, kPlanesB>; order >= 0; --order) {
#pragma unroll
          for (int i = 0; i < kPlanesA; ++i) {
            const int j = order - i;
            if (j >= 0 && j < kPlanesB) multiply_add(sums[m][n], a[i], b[j][n]);
          }
        }
      }
    }
  }
}

template <int kPlanesA, int kPlanesB>
__global__ void __launch_bounds__(kGemmThreads, 1) gemm_kernel(const GemmArguments p) {
  using S = Stages<kPlanesA, kPlanesB>;
  extern __shared__ __align__(128) unsigned char shared[];
  auto* ring = reinterpret_cast<__nv_bfloat16*>(shared);
  int row_tile, column_tile;
  place_tile<kTile, kTile>(p, blockIdx.x, row_tile, column_tile);
  const std::int64_t row = std::int64_t{row_tile} * kTile;
  const std::int64_t column = std::int64_t{column_tile} * kTile;

  // 1. A stage's planes, queued as one group; a group may be empty at the end.
  const auto steps = static_cast<int>(p.depth / S::kDepth);
  const auto fetch = [&](int step) {
    if (step < steps) {
      __nv_bfloat16* stage = ring + step % S::kCount * S::kStage;
      const std::int64_t k = static_cast<std::int64_t>(step) * S::kDepth;
#pragma unroll
      for (int i = 0; i < kPlanesA; ++i) {
        fetch_tile<S::kDepth>(p.a + i * p.a_plane, p.depth, row, k, stage + i * S::kPlane);
      }
#pragma unroll
      for (int i = 0; i < kPlanesB; ++i) {
        fetch_tile<S::kDepth>(p.b + i * p.b_plane, p.depth, column, k,
                              stage + (kPlanesA + i) * S::kPlane);
      }
    }
    commit_copies();
  };
  for (int step = 0; step < S::kCount - 1; ++step) fetch(step);

  // 2. Multiply a stage while later ones arrive.
  const int warp = threadIdx.x / kWarp;
  const int warp_row = warp / (kTile / kWarpColumns) * kWarpRows;
  const int warp_column = warp % (kTile / kWarpColumns) * kWarpColumns;
  Sums total = {};
  for (int step = 0; step < steps; ++step) {
    wait_for_copies<S::kCount - 2>();
    __syncthreads();  // the stage is there, and the one before it is free
    fetch(step + S::kCount - 1);
    Sums sums = {};
    multiply_stage<kPlanesA, kPlanesB>(ring + step % S::kCount * S::kStage, warp_row, warp_column,
                                       sums);
#pragma unroll
    for (int m = 0; m < kRowFragments; ++m) {
#pragma unroll
      for (int n = 0; n < kColumnFragments; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) total[m][n][i] += sums[m][n][i];
      }
    }
  }

  // 3. The ring's memory serves as patches.
  __syncthreads();
  float* patch = reinterpret_cast<float*>(shared) + warp * kPatchSize;
#pragma unroll
  for (int m = 0; m < kRowFragments; ++m) {
    write_sums(p, &total[m][0][0], row + warp_row + m * kPatchRows, column + warp_column, patch);
  }
}

}  // namespace ballast::cuda
