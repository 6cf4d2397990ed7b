// The product on wgmma, for compute capability 9.0: a block stays on its multiprocessor and makes
// tiles of C one after another. One warpgroup does nothing but fetch tiles of the packed factors
// into a ring of stages; two multiply them, each 64 rows of the tile, straight from shared memory.
// While these write a tile of C, the stages of the next one arrive.
#pragma once

#include "cuda/gemm_tile.cuh"
#include "cuda/warpgroup.cuh"

namespace ballast::cuda {

constexpr int kWarpgroup = 128;
constexpr int kConsumers = 2;
constexpr int kWarpgroupThreads = (1 + kConsumers) * kWarpgroup;
constexpr int kConsumerWarps = kConsumers * kWarpgroup / kWarp;
constexpr int kConsumerRows = kTileRows / kConsumers;
static_assert(kConsumerRows == 64);  // of one instruction
// Registers of a thread; a launch of this size begins with 168 for each.
constexpr int kProducerRegisters = 24;
constexpr int kConsumerRegisters = 240;
static_assert(kProducerRegisters + kConsumers * kConsumerRegisters <= (1 + kConsumers) * 168);
constexpr int kStepDepth = 16;  // of one instruction
constexpr int kSwizzleBytes = 1024;

// A stage is kDepthUnit deep: the planes of A, then those of B. With one plane each, sums stay in
// the tensor cores over the whole depth, as the registers for a second set are what a tile of 256
// columns takes. With more, each stage is summed apart and added to the total with rounding.
template <int kPlanesA_, int kPlanesB_, int kColumns_>
struct WarpgroupShape {
  static constexpr int kPlanesA = kPlanesA_, kPlanesB = kPlanesB_, kColumns = kColumns_;
  static constexpr bool kWholeDepth = kPlanesA + kPlanesB == 2;
  static constexpr int kSums = kConsumerRows * kColumns / kWarpgroup;  // of a thread
  static constexpr int kBTiles = kColumns / kItemUnit;                 // of a plane
  static constexpr int kStageBytes = (kPlanesA + kPlanesB * kBTiles) * kTileBytes;
  static constexpr int kStages = 192 * 1024 / kStageBytes;
  static constexpr int kRingBytes = kStages * kStageBytes;
  static constexpr int kPatchBytes = kConsumerWarps * kPatchSize * sizeof(float);
  static constexpr int kBytes =
      kSwizzleBytes + kRingBytes + kPatchBytes + 2 * kStages * sizeof(Barrier);
  static_assert(kStages >= 2 && kBytes <= 227 * 1024);
};

// Shared memory of a block. The ring begins where the pattern of exchanged chunks does.
template <class S>
struct Workspace {
  unsigned char* ring;
  float* patches;
  Barrier* full;   // a stage has arrived
  Barrier* empty;  // all warps have read it

  __device__ explicit Workspace(unsigned char* shared)
      : ring(shared + (kSwizzleBytes - shared_address(shared) % kSwizzleBytes) % kSwizzleBytes),
        patches(reinterpret_cast<float*>(ring + S::kRingBytes)),
        full(reinterpret_cast<Barrier*>(ring + S::kRingBytes + S::kPatchBytes)),
        empty(full + S::kStages) {}
};

// The stage whose turn it is, and the parity of its barriers in this round.
template <class S>
struct Turn {
  int stage = 0;
  unsigned parity = 0;

  __device__ void advance() {
    if (++stage < S::kStages) return;
    stage = 0;
    parity ^= 1;
  }
};

// One thread fetches all stages of all tiles of the block.
template <class S>
__device__ __forceinline__ void fetch_tiles(const GemmArguments& p, const Workspace<S>& space) {
  const auto steps = static_cast<int>(p.depth / kDepthUnit);
  Turn<S> turn;
  for (int tile = blockIdx.x; tile < p.tiles; tile += gridDim.x) {
    int row_tile, column_tile;
    place_tile<S::kColumns>(p, tile, row_tile, column_tile);
    const __nv_bfloat16* a = p.a + packed_tile(row_tile, p.depth);
    const __nv_bfloat16* b = p.b + packed_tile(column_tile * S::kBTiles, p.depth);
    for (int step = 0; step < steps; ++step, turn.advance()) {
      Barrier* full = space.full + turn.stage;
      unsigned char* to = space.ring + turn.stage * S::kStageBytes;
      wait_for_phase(space.empty + turn.stage, turn.parity ^ 1);
      arrive_expecting(full, S::kStageBytes);
      const auto fetch = [&](const __nv_bfloat16* from) {
        copy_bulk(to, from + step * kTileElements, kTileBytes, full);
        to += kTileBytes;
      };
#pragma unroll
      for (int i = 0; i < S::kPlanesA; ++i) fetch(a + i * p.a_plane);
#pragma unroll
      for (int i = 0; i < S::kPlanesB * S::kBTiles; ++i) {
        fetch(b + i / S::kBTiles * p.b_plane + packed_tile(i % S::kBTiles, p.depth));
      }
    }
  }
}

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
// small too: parts i and j together are 2^-8(i + j) of the whole, beyond 2 they are left out.
template <class S>
__device__ __forceinline__ void start_products(std::uint64_t a, std::uint64_t b,
                                               float (&sums)[S::kSums]) {
  constexpr int kUnits = kTileBytes / 16, kStepUnits = kStepDepth * 2 / 16;
  bool keep = S::kWholeDepth;
  fence_products();
#pragma unroll
  for (int order = 2; order >= 0; --order) {
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
  const int lane = threadIdx.x % kWarp;
  const int warp = threadIdx.x / kWarp % (kWarpgroup / kWarp);
  const int first_row = consumer * kConsumerRows;
  const std::uint64_t factors = describe_factor(shared_address(space.ring));
  const std::uint64_t own_rows = first_row * kDepthUnit * 2 / 16;
  float* patch = space.patches + (consumer * kWarpgroup / kWarp + warp) * kPatchSize;
  const auto steps = static_cast<int>(p.depth / kDepthUnit);
  const auto release = [&](int stage) {
    if (lane == 0) arrive(space.empty + stage);
  };
  Turn<S> turn;
  for (int tile = blockIdx.x; tile < p.tiles; tile += gridDim.x) {
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
    place_tile<S::kColumns>(p, tile, row_tile, column_tile);
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
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < S::kStages; ++stage) {
      init_barrier(space.full + stage, 1);
      init_barrier(space.empty + stage, kConsumerWarps);
    }
    fence_for_copies();
  }
  __syncthreads();
  // The same number for all lanes, which the compiler cannot see otherwise.
  const int warpgroup = __shfl_sync(kAllLanes, threadIdx.x / kWarpgroup, 0);
  if (warpgroup == 0) {
    give_registers<kProducerRegisters>();
    if (threadIdx.x == 0) fetch_tiles<S>(p, space);
  } else {
    take_registers<kConsumerRegisters>();
    multiply_tiles<S>(p, space, warpgroup - 1);
  }
}
#else
template <class S>
__global__ void __launch_bounds__(kWarp) warpgroup_gemm_kernel(const GemmArguments) {}
#endif

}  // namespace ballast::cuda
