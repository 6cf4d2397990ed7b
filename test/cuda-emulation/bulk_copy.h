// Barriers in shared memory (mbarrier) and the bulk copies that report to them, by the PTX manual,
// from the block itself and from others of its cluster.
#pragma once

#include <cstdint>

namespace emulation {

void InitBarrier(std::uint64_t* barrier, unsigned arrivals);
// Copies find barriers only after this.
void FenceForCopies();
// The other blocks find them only after this and a meeting of the cluster.
void FenceForCluster();
unsigned ClusterRank();
void ArriveAt(std::uint64_t* barrier, unsigned expected_bytes);
// At the barrier in the same place of another block.
void ArriveInBlock(std::uint64_t* barrier, unsigned rank);
void WaitForPhase(std::uint64_t* barrier, unsigned parity);

// Some copies land at once, which a buffer that is still being read does not survive; the others
// when no thread can go on, in any order, and until then nothing but NaN is there.
void CopyBulk(void* shared, const void* global, unsigned bytes, std::uint64_t* barrier);
// To the same place in each of these blocks, whose barriers in the same place are told.
void CopyBulkToBlocks(void* shared, const void* global, unsigned bytes, std::uint64_t* barrier,
                      unsigned blocks);
// False when none is under way.
bool LandCopy();

}  // namespace emulation
