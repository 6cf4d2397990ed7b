#include "cuda/memory.h"

#include <cstdio>
#include <string>
#include <utility>

#include "cuda/check.h"
#include "native/core/error.h"

namespace ballast::cuda {
namespace {

std::string Size(std::size_t bytes) {
  char text[32];
  const auto value = static_cast<double>(bytes);
  if (value >= 1e9) {
    std::snprintf(text, sizeof text, "%.2f GB", value / 1e9);
  } else {
    std::snprintf(text, sizeof text, "%.1f MB", value / 1e6);
  }
  return text;
}

[[noreturn]] void OutOfMemory(const Context& context, std::size_t bytes) {
  std::size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  throw Error(ErrorCode::kMemory, "Could not allocate " + Size(bytes) +
                                      " on cuda:" + std::to_string(context.device) + ", where " +
                                      Size(free) + " of " + Size(total) +
                                      " are free; use fewer --samples or a shorter "
                                      "--sequence-length.");
}

}  // namespace

cudaMemPool_t PreparePool(int device) {
  cudaMemPool_t pool = nullptr;
  Check(cudaDeviceGetDefaultMemPool(&pool, device), "opening the memory pool");
  std::uint64_t keep_all = UINT64_MAX;
  Check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep_all),
        "opening the memory pool");
  return pool;
}

void OpenPools(const Context& one, const Context& other) {
  for (const auto& [reader, owner] : {std::pair(&one, &other), std::pair(&other, &one)}) {
    int connected = 0;
    cudaMemAccessDesc access = {};
    access.location = {.type = cudaMemLocationTypeDevice, .id = reader->device};
    access.flags = cudaMemAccessFlagsProtReadWrite;
    if (cudaDeviceCanAccessPeer(&connected, reader->device, owner->device) != cudaSuccess ||
        connected == 0 || cudaMemPoolSetAccess(owner->pool, &access, 1) != cudaSuccess) {
      cudaGetLastError();
    }
  }
}

std::byte* TryAllocate(const Context& context, cudaMemPool_t pool, std::size_t bytes) {
  void* pointer = nullptr;
  const std::size_t size = bytes == 0 ? 1 : bytes;
  const cudaError_t status = cudaMallocFromPoolAsync(&pointer, size, pool, context.stream);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  Check(status, "allocating memory");
  return static_cast<std::byte*>(pointer);
}

std::byte* Allocate(const Context& context, std::size_t bytes) {
  std::byte* pointer = TryAllocate(context, context.pool, bytes);
  if (pointer != nullptr) return pointer;
  // What the stream still holds and what lies scattered in the pool may be enough.
  Check(cudaStreamSynchronize(context.stream), "waiting for memory");
  Check(cudaMemPoolTrimTo(context.pool, 0), "trimming the memory pool");
  pointer = TryAllocate(context, context.pool, bytes);
  if (pointer == nullptr) OutOfMemory(context, bytes);
  return pointer;
}

void Free(const Context& context, void* pointer) noexcept {
  if (pointer == nullptr) return;
  if (cudaFreeAsync(pointer, context.stream) != cudaSuccess) cudaGetLastError();
}

std::size_t AvailableBytes(const Context& context) {
  const auto of_pool = [&](cudaMemPoolAttr attribute) {
    std::uint64_t bytes = 0;
    Check(cudaMemPoolGetAttribute(context.pool, attribute, &bytes), "asking for free memory");
    return bytes;
  };
  std::size_t free = 0, total = 0;
  Check(cudaMemGetInfo(&free, &total), "asking for free memory");
  return free + of_pool(cudaMemPoolAttrReservedMemCurrent) - of_pool(cudaMemPoolAttrUsedMemCurrent);
}

}  // namespace ballast::cuda
