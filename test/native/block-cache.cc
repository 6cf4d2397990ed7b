// Takes and gives back blocks, `take <MiB>` and `give <MiB>` in turn, and prints one line a word:
// whether a block had been used before, and the MiB that the process holds afterwards.
// block-cache.test.ts compiles it.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string_view>

#include "native/cpu/block_cache.h"

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

// Fresh memory of large blocks is zero: it comes from the system.
bool Fill(std::byte* block, std::size_t bytes) {
  const bool used = block[bytes / 2] != std::byte{};
  std::memset(block, 1, bytes);
  return used;
}

long Resident() {
  long pages = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr || std::fscanf(file, "%*d %ld", &pages) != 1) std::exit(1);
  std::fclose(file);
  return pages * sysconf(_SC_PAGESIZE) / static_cast<long>(kMiB);
}

}  // namespace

int main(int count, char** words) {
  ballast::cpu::BlockCache cache;
  std::multimap<std::size_t, std::byte*> out;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::size_t bytes = std::strtoul(words[i + 1], nullptr, 10) * kMiB;
    if (std::string_view(words[i]) == "take") {
      std::byte* block = cache.Take(bytes);
      std::printf("%s ", Fill(block, bytes) ? "used" : "fresh");
      out.emplace(bytes, block);
    } else {
      const auto found = out.find(bytes);
      cache.Give(found->second);
      out.erase(found);
      std::printf("given ");
    }
    std::printf("%ld\n", Resident());
  }
  for (const auto& [bytes, block] : out) cache.Give(block);
}
