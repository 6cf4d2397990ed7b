// Barriers in shared memory (mbarrier) and the bulk copies that report to them, by the PTX manual.
#pragma once

#include <cstdint>

namespace emulation {

void InitBarrier(std::uint64_t* barrier, unsigned arrivals);
// Copies find barriers only after this.
void FenceForCopies();
void ArriveAt(std::uint64_t* barrier, unsigned expected_bytes);
void WaitForPhase(std::uint64_t* barrier, unsigned parity);

// Some copies land at once, which a buffer that is still being read does not survive; the others
// when no thread can go on, in any order, and until then nothing but NaN is there.
void CopyBulk(void* shared, const void* global, unsigned bytes, std::uint64_t* barrier);
// False when none is under way.
bool LandCopy();
// At the end of a block; whether it had barriers.
bool EndBulkCopies();

}  // namespace emulation
