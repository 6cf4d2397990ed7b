// The instructions by which neighbouring blocks of a launch (a cluster) work on the same factor:
// copies that arrive in several blocks' shared memory, arrivals at another block's barrier, and a
// barrier for all threads of all of them. Blocks of a cluster lay out their shared memory alike.
// The PTX manual: "cp.async.bulk", "mapa", "mbarrier.arrive", "barrier.cluster".
#pragma once

#include "cuda/warpgroup.cuh"

namespace ballast::cuda {

__device__ __forceinline__ unsigned cluster_rank() {
  unsigned rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}

// New barriers become visible to the other blocks, which may touch them after wait_for_cluster.
__device__ __forceinline__ void fence_for_cluster() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

// All threads of all blocks. A block may not end while others address its shared memory.
__device__ __forceinline__ void wait_for_cluster() {
  asm volatile(
      "barrier.cluster.arrive.release;\n"
      "barrier.cluster.wait.acquire;" ::
          : "memory");
}

// At the barrier that lies in block `rank` where this one lies here. Of the block's scope, as is
// the wait for it: for the cluster's the compiler puts a barrier of all memory before each arrival
// and empties the level-1 cache after each wait. That serves ordinary loads and stores between
// blocks; here all that crosses is written by copies, which barriers count, and read by products
// that have been waited for.
__device__ __forceinline__ void arrive_in_block(Barrier* barrier, unsigned rank) {
  asm volatile(
      "{\n"
      ".reg .b32 there;\n"
      "mapa.shared::cluster.u32 there, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [there];\n"
      "}" ::"r"(shared_address(barrier)),
      "r"(rank)
      : "memory");
}

// As copy_bulk, to the same place in every block whose bit is set, where the barrier in the same
// place is told.
__device__ __forceinline__ void copy_bulk_to_blocks(void* shared, const void* global,
                                                    unsigned bytes, Barrier* barrier,
                                                    std::uint16_t blocks) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
      "[%0], [%1], %2, [%3], %4;" ::"r"(shared_address(shared)),
      "l"(__cvta_generic_to_global(global)), "r"(bytes), "r"(shared_address(barrier)), "h"(blocks)
      : "memory");
}

}  // namespace ballast::cuda
