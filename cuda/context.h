// What every operation of this backend receives: where to run and when to stop. Work is queued in
// the one stream; only operations whose next step depends on a result wait for it.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "native/core/cancel_token.h"

namespace ballast::cuda {

// What products run on: mma.sync, wgmma, or wgmma with pairs of blocks that share a factor. See
// warpgroup_gemm.h.
enum class ProductKernel { kMmaSync, kWarpgroups, kWarpgroupPairs };

struct Context {
  int device = 0;
  int processors = 1;  // streaming multiprocessors
  ProductKernel products = ProductKernel::kMmaSync;
  cudaStream_t stream = nullptr;
  cudaMemPool_t pool = nullptr;  // where memory comes from
  const CancelToken* cancel = nullptr;

  // Called between the launches of long operations.
  void ThrowIfCancelled() const {
    if (cancel != nullptr) cancel->ThrowIfCancelled();
  }
};

constexpr std::int64_t DivideUp(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
constexpr std::int64_t RoundUp(std::int64_t a, std::int64_t unit) {
  return DivideUp(a, unit) * unit;
}

}  // namespace ballast::cuda
