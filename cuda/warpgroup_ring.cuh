// The ring of stages in shared memory through which tiles of the packed factors come to the tensor
// cores: what a stage holds, the barriers by which it is filled and given back, and the thread that
// fills it. The two blocks of a pair make tiles of the same columns, one above the other: each
// fetches half of what they share, for both, so that B is read once where two blocks read it twice.
#pragma once

#include "cuda/cluster.cuh"
#include "cuda/gemm_tile.cuh"
#include "cuda/warpgroup.cuh"

namespace ballast::cuda {

constexpr int kWarpgroup = 128;
constexpr int kConsumers = 2;
constexpr int kWarpgroupThreads = (1 + kConsumers) * kWarpgroup;
constexpr int kConsumerWarps = kConsumers * kWarpgroup / kWarp;
constexpr int kConsumerRows = kTileRows / kConsumers;
static_assert(kConsumerRows == 64);  // of one instruction
constexpr int kSwizzleBytes = 1024;

// A stage is kDepthUnit deep: the planes of A, then those of B. With one plane each, sums stay in
// the tensor cores over the whole depth, as the registers for a second set are what a tile of 256
// columns takes. With more, each stage is summed apart and added to the total with rounding.
// kCluster blocks share B.
template <int kPlanesA_, int kPlanesB_, int kColumns_, int kCluster_>
struct WarpgroupShape {
  static constexpr int kPlanesA = kPlanesA_, kPlanesB = kPlanesB_;
  static constexpr int kColumns = kColumns_, kCluster = kCluster_;
  static constexpr int kRows = kCluster * kTileRows;  // of a cluster's tiles together
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
  Barrier* empty;  // all warps of the cluster have read it

  __device__ explicit Workspace(unsigned char* shared)
      : ring(shared + (kSwizzleBytes - shared_address(shared) % kSwizzleBytes) % kSwizzleBytes),
        patches(reinterpret_cast<float*>(ring + S::kRingBytes)),
        full(reinterpret_cast<Barrier*>(ring + S::kRingBytes + S::kPatchBytes)),
        empty(full + S::kStages) {}

  // By all threads, before any of them uses the ring.
  __device__ __forceinline__ void open() const {
    if (threadIdx.x == 0) {
      for (int stage = 0; stage < S::kStages; ++stage) {
        init_barrier(full + stage, 1);
        init_barrier(empty + stage, S::kCluster * kConsumerWarps);
      }
      fence_for_copies();
      if constexpr (S::kCluster > 1) fence_for_cluster();
    }
    if constexpr (S::kCluster > 1) {
      wait_for_cluster();
    } else {
      __syncthreads();
    }
  }
  // By all threads, at the end.
  __device__ __forceinline__ void close() const {
    if constexpr (S::kCluster > 1) wait_for_cluster();
  }
};

// A warp has read a stage, which is filled from every block of the cluster.
template <class S>
__device__ __forceinline__ void release_stage(Barrier* empty) {
  const unsigned lane = threadIdx.x % kWarp;
  if (lane >= S::kCluster) return;
  if constexpr (S::kCluster > 1) {
    arrive_in_block(empty, lane);
  } else {
    arrive(empty);
  }
}

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

// Where the block's tile of 128 rows lies, in units of tiles. The last of a cluster may lie below
// C: packed factors have zeros there, and nothing is written.
template <class S>
__device__ __forceinline__ void place_block_tile(const GemmArguments& p, int tile, int& row,
                                                 int& column) {
  place_tile<S::kRows, S::kColumns>(p, tile, row, column);
  if constexpr (S::kCluster > 1) row = row * S::kCluster + static_cast<int>(cluster_rank());
}

// One thread fetches all stages of all tiles of the block, and its share of what the cluster needs.
template <class S>
__device__ __forceinline__ void fetch_tiles(const GemmArguments& p, const Workspace<S>& space) {
  constexpr int kShare = kTileBytes / S::kCluster;
  const unsigned share = S::kCluster > 1 ? cluster_rank() * kShare : 0;
  const auto steps = static_cast<int>(p.depth / kDepthUnit);
  Turn<S> turn;
  for (int tile = blockIdx.x / S::kCluster; tile < p.tiles; tile += gridDim.x / S::kCluster) {
    int row_tile, column_tile;
    place_block_tile<S>(p, tile, row_tile, column_tile);
    const __nv_bfloat16* a = p.a + packed_tile(row_tile, p.depth);
    const __nv_bfloat16* b = p.b + packed_tile(column_tile * S::kBTiles, p.depth);
    for (int step = 0; step < steps; ++step, turn.advance()) {
      Barrier* full = space.full + turn.stage;
      unsigned char* to = space.ring + turn.stage * S::kStageBytes;
      wait_for_phase(space.empty + turn.stage, turn.parity ^ 1);
      arrive_expecting(full, S::kStageBytes);  // from all blocks of the cluster
      const auto fetch = [&](const __nv_bfloat16* from) {
        copy_bulk(to, from + step * kTileElements, kTileBytes, full);
        to += kTileBytes;
      };
      const auto fetch_shared = [&](const __nv_bfloat16* from) {
        const auto* bytes = reinterpret_cast<const unsigned char*>(from + step * kTileElements);
        copy_bulk_to_blocks(to + share, bytes + share, kShare, full, (1 << S::kCluster) - 1);
        to += kTileBytes;
      };
#pragma unroll
      for (int i = 0; i < S::kPlanesA; ++i) fetch(a + i * p.a_plane);
#pragma unroll
      for (int i = 0; i < S::kPlanesB * S::kBTiles; ++i) {
        const __nv_bfloat16* from =
            b + i / S::kBTiles * p.b_plane + packed_tile(i % S::kBTiles, p.depth);
        if constexpr (S::kCluster > 1) {
          fetch_shared(from);
        } else {
          fetch(from);
        }
      }
    }
  }
}

}  // namespace ballast::cuda
