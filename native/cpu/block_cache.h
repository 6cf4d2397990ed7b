// Large blocks of memory, kept after they are given back: a pipeline asks for the same few sizes
// again and again (logits, hidden states), and the system would hand each out page by page, zeroed,
// which costs more than to fill it and on a virtual machine can cost as much as a product. Kept is
// what was out at once before and is not now, and 64 MiB in any case: by no more does the most that
// a process holds grow. Small blocks go to the allocator, which is good at them.
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <unordered_map>

namespace ballast::cpu {

class BlockCache {
 public:
  BlockCache() = default;
  ~BlockCache();
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  // 64-byte aligned, uninitialised; null where there is no memory.
  std::byte* Take(std::size_t bytes);
  void Give(std::byte* block);

 private:
  struct Kept {
    std::byte* block;
    std::size_t bytes;
  };
  // Drops what is more than the most that was out, less what is out and `wanted`.
  void DropBeyond(std::size_t wanted);
  void DropOldest();

  std::mutex mutex_;
  std::deque<Kept> kept_;  // oldest first
  std::size_t kept_bytes_ = 0;
  std::unordered_map<std::byte*, std::size_t> large_;  // those that are out
  std::size_t large_bytes_ = 0;
  std::size_t most_bytes_ = 0;  // that were out at once
};

}  // namespace ballast::cpu
