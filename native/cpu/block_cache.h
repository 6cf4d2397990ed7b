// Large blocks of memory, kept for a while after they are given back: a pipeline asks for the same
// few sizes again and again (logits, hidden states), and the system would hand each out page by
// page, zeroed. Small blocks go to the allocator, which is good at them.
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
  void DropOldest();

  std::mutex mutex_;
  std::deque<Kept> kept_;  // oldest first
  std::size_t kept_bytes_ = 0;
  std::unordered_map<std::byte*, std::size_t> large_;  // those that are out
};

}  // namespace ballast::cpu
