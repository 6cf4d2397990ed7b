#include "native/core/aligned_memory.h"

#include <cstdint>
#include <cstdlib>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace ballast {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kLarge = 2 * kHugePage;

// Asks for huge pages before anything is written; whole ones only, since what remains of one would
// be filled for nothing. Refused advice does no harm.
void PreferHugePages([[maybe_unused]] std::byte* data, [[maybe_unused]] std::size_t bytes) {
#if defined(__linux__)
  madvise(data, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
}

}  // namespace

std::byte* NewAligned(std::size_t bytes) {
  const bool large = bytes >= kLarge;
  const std::size_t alignment = large ? kHugePage : kAlignment;
  void* block = std::aligned_alloc(alignment, (bytes / alignment + 1) * alignment);
  auto* const data = static_cast<std::byte*>(block);
  if (large && data != nullptr) PreferHugePages(data, bytes);
  return data;
}

void DeleteAligned(std::byte* block) { std::free(block); }

}  // namespace ballast
