// What every operation of this backend receives: where to run, with which kernels, and when to
// stop.
#pragma once

#include "native/core/cancel_token.h"
#include "native/core/thread_pool.h"
#include "native/cpu/block_cache.h"
#include "native/cpu/kernels/kernels.h"

namespace ballast::cpu {

struct Context {
  ThreadPool& pool;
  const Kernels& kernels;
  Float32Products float32_products;
  const CancelToken* cancel;     // may be null; pass it to ParallelFor
  BlockCache* blocks = nullptr;  // may be null; where large working memory comes from
};

}  // namespace ballast::cpu
