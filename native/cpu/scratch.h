// Uninitialised working memory of an operation (core/aligned_memory.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "native/core/aligned_memory.h"
#include "native/core/error.h"

namespace ballast::cpu {

template <class T>
class Scratch {
 public:
  explicit Scratch(std::int64_t count)
      : data_(reinterpret_cast<T*>(NewAligned(static_cast<std::size_t>(count) * sizeof(T)))) {
    if (data_ != nullptr) return;
    throw Error(ErrorCode::kMemory,
                "Could not allocate " +
                    std::to_string(count * static_cast<std::int64_t>(sizeof(T))) +
                    " bytes of working memory; use a smaller batch.");
  }
  ~Scratch() { DeleteAligned(reinterpret_cast<std::byte*>(data_)); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](std::int64_t i) { return data_[i]; }

 private:
  T* data_;
};

}  // namespace ballast::cpu
