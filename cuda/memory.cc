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

cudaMemPool_t PoolOf(int device) {
  cudaMemPool_t pool = nullptr;
  Check(cudaDeviceGetDefaultMemPool(&pool, device), "opening the memory pool");
  return pool;
}

}  // namespace

void PreparePool(int device) {
  std::uint64_t keep_all = UINT64_MAX;
  Check(cudaMemPoolSetAttribute(PoolOf(device), cudaMemPoolAttrReleaseThreshold, &keep_all),
        "opening the memory pool");
}

void OpenPools(int one, int other) {
  for (const auto& [reader, owner] : {std::pair(one, other), std::pair(other, one)}) {
    int connected = 0;
    cudaMemAccessDesc access = {};
    access.location = {.type = cudaMemLocationTypeDevice, .id = reader};
    access.flags = cudaMemAccessFlagsProtReadWrite;
    if (cudaDeviceCanAccessPeer(&connected, reader, owner) != cudaSuccess || connected == 0 ||
        cudaMemPoolSetAccess(PoolOf(owner), &access, 1) != cudaSuccess) {
      cudaGetLastError();
    }
  }
}

std::byte* AllocateOnPeer(const Context& context, int device, std::size_t bytes) {
  void* pointer = nullptr;
  const std::size_t size = bytes == 0 ? 1 : bytes;
  const cudaError_t status =
      cudaMallocFromPoolAsync(&pointer, size, PoolOf(device), context.stream);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  Check(status, "allocating memory of another GPU");
  return static_cast<std::byte*>(pointer);
}

std::byte* Allocate(const Context& context, std::size_t bytes) {
  void* pointer = nullptr;
  const std::size_t size = bytes == 0 ? 1 : bytes;
  cudaError_t status = cudaMallocAsync(&pointer, size, context.stream);
  if (status == cudaErrorMemoryAllocation) {
    // What the stream still holds and what lies scattered in the pool may be enough.
    cudaGetLastError();
    Check(cudaStreamSynchronize(context.stream), "waiting for memory");
    Check(cudaMemPoolTrimTo(PoolOf(context.device), 0), "trimming the memory pool");
    status = cudaMallocAsync(&pointer, size, context.stream);
  }
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    OutOfMemory(context, bytes);
  }
  Check(status, "allocating memory");
  return static_cast<std::byte*>(pointer);
}

void Free(const Context& context, void* pointer) noexcept {
  if (pointer == nullptr) return;
  if (cudaFreeAsync(pointer, context.stream) != cudaSuccess) cudaGetLastError();
}

}  // namespace ballast::cuda
