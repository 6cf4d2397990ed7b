// Stands in for cuda/cluster.cuh: the same functions on the emulated blocks of a cluster.
#pragma once

#include "cuda/warpgroup.cuh"

namespace ballast::cuda {

inline unsigned cluster_rank() { return emulation::ClusterRank(); }
inline void fence_for_cluster() { emulation::FenceForCluster(); }
inline void wait_for_cluster() { emulation::WaitForCluster(); }
inline void arrive_in_block(Barrier* barrier, unsigned rank) {
  emulation::ArriveInBlock(barrier, rank);
}
inline void copy_bulk_to_blocks(void* shared, const void* global, unsigned bytes, Barrier* barrier,
                                std::uint16_t blocks) {
  emulation::CopyBulkToBlocks(shared, global, bytes, barrier, blocks);
}

}  // namespace ballast::cuda
