// Uninitialised working memory of an operation (core/aligned_memory.h). With a cache, what is large
// comes from there and goes back: the system would hand it out page by page, zeroed, each time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "native/core/aligned_memory.h"
#include "native/core/error.h"
#include "native/cpu/block_cache.h"

namespace ballast::cpu {

template <class T>
class Scratch {
 public:
  explicit Scratch(std::int64_t count, BlockCache* blocks = nullptr)
      : blocks_(blocks), data_(New(static_cast<std::size_t>(count) * sizeof(T))) {
    if (data_ != nullptr) return;
    throw Error(ErrorCode::kMemory,
                "Could not allocate " +
                    std::to_string(count * static_cast<std::int64_t>(sizeof(T))) +
                    " bytes of working memory; use a smaller batch.");
  }
  ~Scratch() {
    auto* const block = reinterpret_cast<std::byte*>(data_);
    blocks_ != nullptr ? blocks_->Give(block) : DeleteAligned(block);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](std::int64_t i) { return data_[i]; }

 private:
  T* New(std::size_t bytes) {
    return reinterpret_cast<T*>(blocks_ != nullptr ? blocks_->Take(bytes) : NewAligned(bytes));
  }

  BlockCache* const blocks_;
  T* const data_;
};

}  // namespace ballast::cpu
