// CUDA C++ on the host, so that the kernels' logic is tested where there is no GPU: each thread of
// a block is a fiber, blocks run one after another unless they form a cluster, barriers and warp
// operations are waits.
// Included in front of every translated source (scripts/gpu/emulate.mjs). It checks indices,
// barriers and arithmetic, not speed, and not races between threads that never wait for each other.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <type_traits>
#include <vector>

#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __forceinline__
#undef __launch_bounds__
#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __CUDA_ARCH_FEAT_SM90_ALL  // the kernels for 9.0a are there

namespace emulation {

// A copy that cp.async has begun: made as late as the kernel's waits allow.
struct Copy {
  void* to;
  const void* from;
};

// A wgmma.mma_async that has begun.
struct WarpgroupProduct {
  float* sums;
  int columns;
  std::uint64_t a;  // descriptors
  std::uint64_t b;
  bool keep;
};

struct Fiber {
  uint3 index;
  int number;   // in the block
  void* stack;  // where it goes on
  bool done;
  std::vector<Copy> begun;
  std::vector<std::vector<Copy>> groups;
  std::vector<WarpgroupProduct> products;
  std::vector<std::vector<WarpgroupProduct>> product_groups;
  std::map<float*, std::vector<float>> sums;  // what products under way will leave there
  bool products_fenced;
};

struct Config {
  Config(dim3 grid, dim3 block, std::size_t shared_bytes = 0, cudaStream_t stream = nullptr,
         const void* kernel = nullptr)
      : grid(grid), block(block), shared_bytes(shared_bytes), stream(stream), kernel(kernel) {}
  dim3 grid;
  dim3 block;
  std::size_t shared_bytes;
  cudaStream_t stream;
  const void* kernel;    // where it takes shared memory of the launch's own size
  unsigned cluster = 1;  // neighbouring blocks that run together
};

extern Fiber* current;
extern dim3 grid;
extern dim3 block;
extern uint3 block_index;
extern unsigned char* shared_memory;  // of the launch's own size, the current block's
extern std::size_t shared_bytes;

// Prints what a kernel did wrong and ends the process.
[[noreturn]] void Fail(const char* what);
// A kernel gets more than 48 KB of shared memory only where its device was told so (runtime.cc).
void ExpectGranted(const Config& config);
// Puts work into a stream (streams.cc), which does it as late as whoever waits for it allows.
void Enqueue(cudaStream_t stream, std::function<void()> work);
void RunKernel(const Config& config, const std::function<void()>& kernel);
void WaitForCluster();
void WaitForBlock();
void WaitForWarpgroup();  // 128 threads
void WaitForWarp();
// Lets the other fibers go on. Whoever waits in a loop says by Progress what others may wait for.
void Yield();
void Progress();
// 16 words through which threads of the block see each other's values, and those of the current
// warp's lanes.
void* MailboxOf(int thread);
inline void* Mailbox(int lane) { return MailboxOf(current->number / 32 * 32 + lane); }
inline int Lane() { return current->number % 32; }

template <class T>
T Receive(T own, int lane) {
  static_assert(sizeof(T) <= 64);
  std::memcpy(Mailbox(Lane()), &own, sizeof own);
  WaitForWarp();
  T other;
  std::memcpy(&other, Mailbox(lane), sizeof other);
  WaitForWarp();
  return other;
}

// A launch: arguments are evaluated now, the kernel runs when its stream comes to it.
template <class... Values>
void Launch(const Config& config, void (*kernel)(Values...),
            std::type_identity_t<Values>... values) {
  ExpectGranted(config);
  Enqueue(config.stream, [=] { RunKernel(config, [&] { kernel(values...); }); });
}
template <class Kernel, class... Values>
void Launch(const Config& config, const Kernel& kernel, const Values&... values) {
  ExpectGranted(config);
  Enqueue(config.stream, [=] { RunKernel(config, [&] { kernel(values...); }); });
}
// cudaLaunchKernelEx.
template <class... Values>
cudaError_t LaunchEx(const cudaLaunchConfig_t* given, void (*kernel)(Values...),
                     std::type_identity_t<Values>... values) {
  Config config(given->gridDim, given->blockDim, given->dynamicSmemBytes, given->stream,
                reinterpret_cast<const void*>(kernel));
  for (unsigned i = 0; i < given->numAttrs; ++i) {
    const auto& size = given->attrs[i].val.clusterDim;
    if (given->attrs[i].id != cudaLaunchAttributeClusterDimension || size.y * size.z != 1) {
      Fail("a launch of a kind that is not emulated");
    }
    config.cluster = size.x;
  }
  Launch(config, kernel, values...);
  return cudaSuccess;
}

}  // namespace emulation

#define threadIdx (emulation::current->index)
#define blockIdx (emulation::block_index)
#define blockDim (emulation::block)
#define gridDim (emulation::grid)

using std::isfinite;

inline void __syncthreads() { emulation::WaitForBlock(); }
inline void __syncwarp() { emulation::WaitForWarp(); }

template <class T>
T __shfl_sync(unsigned, T value, int lane) {
  return emulation::Receive(value, lane % 32);
}
template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return emulation::Receive(value, emulation::Lane() ^ mask);
}

template <class T>
T atomicAdd(T* address, T value) {
  const T before = *address;
  *address += value;
  return before;
}
template <class T>
T atomicMin(T* address, T value) {
  const T before = *address;
  *address = std::min(before, value);
  return before;
}

template <class A, class B>
auto min(A a, B b) {
  return std::min<std::common_type_t<A, B>>(a, b);
}
template <class A, class B>
auto max(A a, B b) {
  return std::max<std::common_type_t<A, B>>(a, b);
}
