// Uninitialised working memory of an operation, aligned for the widest vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <string>

#include "native/core/error.h"

namespace ballast::cpu {

template <class T>
class Scratch {
 public:
  explicit Scratch(std::int64_t count)
      : data_(static_cast<T*>(::operator new(static_cast<std::size_t>(count) * sizeof(T),
                                             kAlignment, std::nothrow))) {
    if (data_ != nullptr) return;
    throw Error(ErrorCode::kMemory,
                "Could not allocate " +
                    std::to_string(count * static_cast<std::int64_t>(sizeof(T))) +
                    " bytes of working memory; use a smaller batch.");
  }
  ~Scratch() { ::operator delete(data_, kAlignment); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](std::int64_t i) { return data_[i]; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  T* data_;
};

}  // namespace ballast::cpu
