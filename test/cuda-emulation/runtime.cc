// The functions of the CUDA runtime that the backend calls, for two GPUs that lie in host memory.
// What streams and memory do: streams.h.
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "streams.h"

namespace {

constexpr int kDevices = 2;
thread_local int current_device = 0;
// Bytes of shared memory that a kernel may take on a device.
std::map<std::pair<int, const void*>, std::size_t> granted;

using emulation::runtime;
using Lock = std::lock_guard<std::recursive_mutex>;

cudaMemPool_t PoolOf(int device) {
  return reinterpret_cast<cudaMemPool_t>(static_cast<std::uintptr_t>(device) + 1);
}
int DeviceOf(cudaMemPool_t pool) {
  return static_cast<int>(reinterpret_cast<std::uintptr_t>(pool)) - 1;
}

void ExpectOn(int device, const void* pointer, std::size_t bytes) {
  if (emulation::ExpectAllocated(pointer, bytes) != device) {
    emulation::Fail("a copy reaches memory of another GPU");
  }
}

}  // namespace

void emulation::ExpectGranted(const Config& config) {
  const Lock lock(runtime);
  constexpr std::size_t kUnasked = 48 << 10;
  if (config.shared_bytes <= kUnasked) return;
  const auto found = granted.find({current_device, config.kernel});
  if (found == granted.end() || found->second < config.shared_bytes) {
    Fail("a kernel takes more shared memory than it has been granted");
  }
}

extern "C" {

cudaError_t cudaMallocAsync(void** pointer, size_t bytes, cudaStream_t stream) {
  const Lock lock(runtime);
  *pointer = emulation::Allocate(bytes, emulation::DeviceOf(stream), stream);
  return *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
cudaError_t cudaMallocFromPoolAsync(void** pointer, size_t bytes, cudaMemPool_t pool,
                                    cudaStream_t stream) {
  const Lock lock(runtime);
  *pointer = emulation::Allocate(bytes, DeviceOf(pool), stream);
  return *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  const Lock lock(runtime);
  emulation::Free(pointer, stream);
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** pointer, size_t bytes) {
  const Lock lock(runtime);
  *pointer = emulation::AllocateHost(bytes);
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* pointer) {
  const Lock lock(runtime);
  emulation::FreeHost(pointer);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const Lock lock(runtime);
  const int device = emulation::DeviceOf(stream);
  if (kind == cudaMemcpyHostToDevice && !emulation::IsPinned(from)) {
    const auto* start = static_cast<const unsigned char*>(from);
    emulation::Enqueue(stream, [=, read = std::vector(start, start + bytes)] {
      ExpectOn(device, to, bytes);
      std::memcpy(to, read.data(), bytes);
    });
    return cudaSuccess;
  }
  emulation::Enqueue(stream, [=] {
    if (kind != cudaMemcpyDeviceToHost) ExpectOn(device, to, bytes);
    if (kind != cudaMemcpyHostToDevice) ExpectOn(device, from, bytes);
    std::memcpy(to, from, bytes);
  });
  return cudaSuccess;
}
cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device,
                                size_t bytes, cudaStream_t stream) {
  emulation::Enqueue(stream, [=] {
    ExpectOn(to_device, to, bytes);
    ExpectOn(from_device, from, bytes);
    std::memcpy(to, from, bytes);
  });
  return cudaSuccess;
}
cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch,
                              size_t width, size_t height, cudaMemcpyKind, cudaStream_t stream) {
  emulation::Enqueue(stream, [=] {
    for (size_t row = 0; row < height; ++row) {
      std::memcpy(static_cast<char*>(to) + row * to_pitch,
                  static_cast<const char*>(from) + row * from_pitch, width);
    }
  });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  emulation::Enqueue(stream, [=] { std::memset(to, value, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemset2DAsync(void* to, size_t pitch, int value, size_t width, size_t height,
                              cudaStream_t stream) {
  emulation::Enqueue(stream, [=] {
    for (size_t row = 0; row < height; ++row) {
      std::memset(static_cast<char*>(to) + row * pitch, value, width);
    }
  });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = emulation::NewStream(current_device);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) { return cudaStreamSynchronize(stream); }
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const Lock lock(runtime);
  emulation::Finish(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const Lock lock(runtime);
  emulation::Wait(stream, event);
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = emulation::NewEvent();
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const Lock lock(runtime);
  emulation::Delete(event);
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const Lock lock(runtime);
  emulation::Record(event, stream);
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const Lock lock(runtime);
  emulation::Finish(event);
  return cudaSuccess;
}

cudaError_t cudaGetLastError() { return cudaSuccess; }
const char* cudaGetErrorName(cudaError_t) { return "emulated"; }
const char* cudaGetErrorString(cudaError_t) { return "emulated"; }

cudaError_t cudaSetDevice(int device) {
  current_device = device;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = kDevices;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) { return cudaRuntimeGetVersion(version); }
// Compute capability 9.0, and two multiprocessors: few blocks, so that loops over the grid go
// round.
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  *value = 2;
  if (attribute == cudaDevAttrComputeCapabilityMajor) *value = 9;
  if (attribute == cudaDevAttrComputeCapabilityMinor) *value = 0;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "emulated on the CPU");
  properties->major = 9;
  properties->totalGlobalMem = emulation::kDeviceBytes;
  properties->memoryPoolsSupported = 1;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  *pool = PoolOf(device);
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t, cudaMemPoolAttr, void* value) {
  *static_cast<std::uint64_t*>(value) = 0;  // nothing is kept
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAccess(cudaMemPool_t, const cudaMemAccessDesc*, size_t) {
  return cudaSuccess;
}
cudaError_t cudaDeviceCanAccessPeer(int* can, int one, int other) {
  *can = one != other;
  return cudaSuccess;
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t) { return cudaSuccess; }
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  const Lock lock(runtime);
  *free = emulation::FreeBytes(current_device);
  *total = emulation::kDeviceBytes;
  return cudaSuccess;
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  *attributes = {};
  attributes->maxThreadsPerBlock = 1024;
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int bytes) {
  const Lock lock(runtime);
  granted[{current_device, kernel}] = bytes;
  return cudaSuccess;
}

}  // extern "C"
