// The bytes behind one or more tensors. Owned storage is allocated by the first task that writes it
// and released with its last holder, so memory follows execution and not enqueueing; or its bytes
// are on their way, and the first task that needs them takes them over. Borrowed storage keeps
// somebody else's memory (a mapped file) alive.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "native/core/memory.h"

namespace ballast {

class Storage {
 public:
  Storage(std::shared_ptr<Memory> memory, std::size_t bytes)
      : memory_(std::move(memory)), bytes_(bytes) {}
  // `arrive` returns memory of `memory` that holds the bytes.
  Storage(std::shared_ptr<Memory> memory, std::size_t bytes, std::function<std::byte*()> arrive)
      : memory_(std::move(memory)), arrive_(std::move(arrive)), bytes_(bytes) {}
  Storage(std::shared_ptr<const void> owner, std::byte* data, std::size_t bytes)
      : owner_(std::move(owner)), data_(data), bytes_(bytes) {}
  ~Storage() {
    if (memory_ != nullptr && data_ != nullptr) memory_->Free(data_);
  }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  // Called by tasks only. Null until a task has written.
  std::byte* data() {
    if (arrive_ != nullptr) data_ = std::exchange(arrive_, nullptr)();
    return data_;
  }
  std::byte* Ensure() {
    if (data() == nullptr) data_ = memory_->Allocate(bytes_);
    return data_;
  }
  // Takes memory of `memory` over that was filled by somebody else, before any task has this
  // storage.
  void Adopt(std::byte* data) { data_ = data; }
  std::size_t bytes() const { return bytes_; }
  // Whether its bytes are the host's own: neither a GPU's nor somebody else's.
  bool on_host() const { return memory_ != nullptr && memory_->SharesHostMemory(); }

 private:
  std::shared_ptr<Memory> memory_;
  std::shared_ptr<const void> owner_;
  std::function<std::byte*()> arrive_;
  std::byte* data_ = nullptr;
  std::size_t bytes_;
};

}  // namespace ballast
