// The product on wgmma, for compute capability 9.0: a block stays on its multiprocessor and makes
// tiles of C one after another. One warpgroup does nothing but fetch tiles of the packed factors
// into a ring of stages; two multiply them, each 64 rows of the tile, straight from shared memory.
// While these write a tile of C, the stages of the next one arrive.
#pragma once

#include "cuda/warpgroup_ring.cuh"

namespace ballast::cuda {

// Registers of a thread; a launch of this size begins with 168 for each. Fetching for other blocks
// too takes more of them.
template <class S>
constexpr int kProducerRegisters = S::kCluster > 1 ? 40 : 24;
template <class S>
constexpr int kConsumerRegisters = ((1 + kConsumers) * 168 - kProducerRegisters<S>) / kConsumers;
constexpr int kStepDepth = 16;  // of one instruction

// How wgmma finds a factor in shared memory: rows of 128 bytes, depth contiguous, in groups of
// eight whose chunks of 16 bytes are exchanged (swizzle mode 1); groups follow each other. The PTX
// manual: "Matrix descriptor format". Units are 16 bytes.
__device__ __forceinline__ std::uint64_t describe_factor(unsigned address) {
  constexpr std::uint64_t kMode = std::uint64_t{1} << 62;
  constexpr std::uint64_t kNextGroup = std::uint64_t{kSwizzleBytes / 16} << 32;
  constexpr std::uint64_t kNextInGroup = std::uint64_t{1} << 16;  // not used in this mode
  return kMode | kNextGroup | kNextInGroup | (address >> 4);
}

// Starts the products of a stage. Small parts come first, so that what is cut off their sums is
// small too: parts i and j together are 2^-8(i + j) of the whole, and those that are as small as
// what the planes do not hold are left out.
template <class S>
__device__ __forceinline__ void start_products(std::uint64_t a, std::uint64_t b,
                                               float (&sums)[S::kSums]) {
  constexpr int kUnits = kTileBytes / 16, kStepUnits = kStepDepth * 2 / 16;
  bool keep = S::kWholeDepth;
  fence_products();
#pragma unroll
  for (int order = kMostOrder<S::kPlanesA, S::kPlanesB>; order >= 0; --order) {
#pragma unroll
    for (int i = 0; i < S::kPlanesA; ++i) {
      const int j = order - i;
      if (j < 0 || j >= S::kPlanesB) continue;
#pragma unroll
      for (int k = 0; k < kDepthUnit / kStepDepth; ++k) {
        multiply_add(sums, a + i * kUnits + k * kStepUnits,
                     b + (S::kPlanesA + j * S::kBTiles) * kUnits + k * kStepUnits, keep);
        keep = true;
      }
    }
  }
  commit_products();
}

// A consumer's 64 rows of all tiles of the block.
template <class S>
__device__ __forceinline__ void multiply_tiles(const GemmArguments& p, const Workspace<S>& space,
                                               int consumer) {
  const int warp = threadIdx.x / kWarp % (kWarpgroup / kWarp);
  const int first_row = consumer * kConsumerRows;
  const std::uint64_t factors = describe_factor(shared_address(space.ring));
  const std::uint64_t own_rows = first_row * kDepthUnit * 2 / 16;
  float* patch = space.patches + (consumer * kWarpgroup / kWarp + warp) * kPatchSize;
  const auto steps = static_cast<int>(p.depth / kDepthUnit);
  const auto release = [&](int stage) { release_stage<S>(space.empty + stage); };
  Turn<S> turn;
  for (int tile = blockIdx.x / S::kCluster; tile < p.tiles; tile += gridDim.x / S::kCluster) {
    float total[S::kSums] = {};
    int before = 0;
    for (int step = 0; step < steps; ++step, turn.advance()) {
      wait_for_phase(space.full + turn.stage, turn.parity);
      const std::uint64_t stage = factors + turn.stage * (S::kStageBytes / 16);
      if constexpr (S::kWholeDepth) {
        start_products<S>(stage + own_rows, stage, total);
        wait_for_products<1>();
        if (step > 0) release(before);
        before = turn.stage;
      } else {
        float sums[S::kSums];
        start_products<S>(stage + own_rows, stage, sums);
        wait_for_products<0>();
        settle(sums);
        release(turn.stage);
#pragma unroll
        for (int i = 0; i < S::kSums; ++i) total[i] += sums[i];
      }
    }
    if constexpr (S::kWholeDepth) {
      wait_for_products<0>();
      settle(total);
      if (steps > 0) release(before);
    }
    int row_tile, column_tile;
    place_block_tile<S>(p, tile, row_tile, column_tile);
    const std::int64_t row = std::int64_t{row_tile} * kTileRows + first_row + warp * kPatchRows;
    const std::int64_t column = std::int64_t{column_tile} * S::kColumns;
#pragma unroll
    for (int i = 0; i < S::kColumns / kPatchColumns; ++i) {
      write_sums(p, total + i * kPatchSums, row, column + i * kPatchColumns, patch);
    }
  }
}

// Where the instructions are missing, the kernel is empty and takes no block of its size.
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
template <class S>
__global__ void __launch_bounds__(kWarpgroupThreads, 1)
    warpgroup_gemm_kernel(const GemmArguments p) {
  extern __shared__ __align__(128) unsigned char shared[];
  const Workspace<S> space(shared);
  space.open();
  // The same number for all lanes, which the compiler cannot see otherwise.
  const int warpgroup = __shfl_sync(kAllLanes, threadIdx.x / kWarpgroup, 0);
  if (warpgroup == 0) {
    give_registers<kProducerRegisters<S>>();
    if (threadIdx.x == 0) fetch_tiles<S>(p, space);
  } else {
    take_registers<kConsumerRegisters<S>>();
    multiply_tiles<S>(p, space, warpgroup - 1);
  }
  space.close();
}
#else
template <class S>
__global__ void __launch_bounds__(kWarp) warpgroup_gemm_kernel(const GemmArguments) {}
#endif

}  // namespace ballast::cuda
