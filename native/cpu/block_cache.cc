#include "native/cpu/block_cache.h"

#include <algorithm>

#include "native/core/aligned_memory.h"

namespace ballast::cpu {
namespace {

// Below, the allocator recycles memory itself.
constexpr std::size_t kLarge = std::size_t{1} << 20;
// So much is always kept.
constexpr std::size_t kLeastKept = std::size_t{64} << 20;

}  // namespace

BlockCache::~BlockCache() {
  while (!kept_.empty()) DropOldest();
}

std::byte* BlockCache::Take(std::size_t bytes) {
  if (bytes < kLarge) return NewAligned(bytes);
  const std::lock_guard lock(mutex_);
  // The one that was used last is the likeliest to be in a processor's cache.
  const auto found = std::find_if(kept_.rbegin(), kept_.rend(),
                                  [bytes](const Kept& kept) { return kept.bytes == bytes; });
  std::byte* block = nullptr;
  if (found != kept_.rend()) {
    block = found->block;
    kept_bytes_ -= bytes;
    kept_.erase(std::next(found).base());
  } else {
    // Before the system is asked, so that the process never holds more than it has needed at once.
    DropBeyond(bytes);
    block = NewAligned(bytes);
    // Rather everything anew than no memory.
    while (block == nullptr && !kept_.empty()) {
      DropOldest();
      block = NewAligned(bytes);
    }
  }
  if (block == nullptr) return nullptr;
  large_.emplace(block, bytes);
  large_bytes_ += bytes;
  most_bytes_ = std::max(most_bytes_, large_bytes_);
  return block;
}

void BlockCache::Give(std::byte* block) {
  const std::lock_guard lock(mutex_);
  const auto found = large_.find(block);
  if (found == large_.end()) return DeleteAligned(block);
  const std::size_t bytes = found->second;
  large_.erase(found);
  large_bytes_ -= bytes;
  kept_.push_back({.block = block, .bytes = bytes});
  kept_bytes_ += bytes;
  DropBeyond(0);
}

void BlockCache::DropBeyond(std::size_t wanted) {
  const std::size_t needed = large_bytes_ + wanted;
  const std::size_t room = needed < most_bytes_ ? most_bytes_ - needed : 0;
  while (kept_bytes_ > std::max(room, kLeastKept)) DropOldest();
}

void BlockCache::DropOldest() {
  kept_bytes_ -= kept_.front().bytes;
  DeleteAligned(kept_.front().block);
  kept_.pop_front();
}

}  // namespace ballast::cpu
