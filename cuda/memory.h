// Device memory from the GPU's stream-ordered pool: an allocation and a release take effect in
// stream order, so memory follows execution, and freed blocks serve the next tensors without a
// call into the driver.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "cuda/context.h"

namespace ballast::cuda {

// The GPU's pool, which keeps freed memory instead of returning it to the driver at each
// synchronisation.
cudaMemPool_t PreparePool(int device);

// Throws Error{kMemory} that says what was asked for and what is free.
std::byte* Allocate(const Context& context, std::size_t bytes);
// Memory of any GPU's pool, allocated in this stream; null where none is free. For copies
// that can be made in another way: nothing is waited for and nothing taken from the pool for it.
std::byte* TryAllocate(const Context& context, cudaMemPool_t pool, std::size_t bytes);
// Has each of two GPUs reach into the other's pool where the machine connects them; elsewhere
// copies between them are staged by the driver.
void OpenPools(const Context& one, const Context& other);
// Never throws: what a lost device cannot release is gone already.
void Free(const Context& context, void* pointer) noexcept;

// What the driver has free, and what the pool keeps of freed memory.
std::size_t AvailableBytes(const Context& context);

// Uninitialised working memory of an operation.
template <class T>
class Scratch {
 public:
  Scratch(const Context& context, std::int64_t count)
      : context_(context),
        data_(
            reinterpret_cast<T*>(Allocate(context, static_cast<std::size_t>(count) * sizeof(T)))) {}
  // Takes memory over.
  Scratch(const Context& context, T* data) : context_(context), data_(data) {}
  ~Scratch() { Free(context_, data_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  T* data() const { return data_; }
  // The caller frees it.
  T* Release() { return std::exchange(data_, nullptr); }

 private:
  const Context& context_;
  T* data_;
};

}  // namespace ballast::cuda
