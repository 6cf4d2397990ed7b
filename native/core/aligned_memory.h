// Uninitialised memory, aligned for the widest vectors. Large blocks take the machine's huge pages
// where the system grants them: a fresh page costs a fault on its first write, which on pages of 4
// KiB takes longer than a copy takes to fill them.
#pragma once

#include <cstddef>

namespace ballast {

// Null where there is no memory.
std::byte* NewAligned(std::size_t bytes);
void DeleteAligned(std::byte* block);

}  // namespace ballast
