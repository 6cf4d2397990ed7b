// Memory on the machine's huge pages, where the system grants them: a fresh page costs a fault on
// its first write, which on pages of 4 KiB takes longer than a copy takes to fill them.
#pragma once

#include <cstddef>

namespace ballast {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

// Asks for them in [data, data + bytes), before anything is written there; whole pages only, since
// what remains of one would be filled for nothing. Refused advice does no harm.
void PreferHugePages(std::byte* data, std::size_t bytes);

}  // namespace ballast
