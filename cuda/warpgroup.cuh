// The instructions of compute capability 9.0a that a product is made of, one function each: bulk
// copies that report to barriers in shared memory, and products that a warpgroup (four warps)
// starts, goes on and waits for. The PTX manual: "mbarrier", "cp.async.bulk", "wgmma.mma_async".
#pragma once

#include <cstdint>

namespace ballast::cuda {

// A barrier's phase ends when all arrivals and all announced bytes are there. Phases have parity 0,
// 1, 0 …; a wait for the parity of the phase before the first one returns at once.
using Barrier = std::uint64_t;

__device__ __forceinline__ unsigned shared_address(const void* shared) {
  return static_cast<unsigned>(__cvta_generic_to_shared(shared));
}

__device__ __forceinline__ void init_barrier(Barrier* barrier, unsigned arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)),
               "r"(arrivals)
               : "memory");
}
// What the thread has written to shared memory, such as new barriers, becomes visible to copies.
__device__ __forceinline__ void fence_for_copies() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
__device__ __forceinline__ void arrive(Barrier* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier))
               : "memory");
}
__device__ __forceinline__ void arrive_expecting(Barrier* barrier, unsigned bytes) {
  asm volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
      "r"(bytes)
      : "memory");
}
__device__ __forceinline__ void wait_for_phase(Barrier* barrier, unsigned parity) {
  unsigned done;
  do {
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%1], %2;\n"
        "selp.u32 %0, 1, 0, done;\n"
        "}"
        : "=r"(done)
        : "r"(shared_address(barrier)), "r"(parity)
        : "memory");
  } while (done == 0);
}

// `bytes` (of 16 each) from global to shared memory; the barrier is told when they are there.
__device__ __forceinline__ void copy_bulk(void* shared, const void* global, unsigned bytes,
                                          Barrier* barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(shared_address(shared)),
      "l"(__cvta_generic_to_global(global)), "r"(bytes), "r"(shared_address(barrier))
      : "memory");
}

// Registers of each thread of the warpgroup, from here on.
template <int kCount>
__device__ __forceinline__ void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kCount));
}
template <int kCount>
__device__ __forceinline__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kCount));
}

// Between any access to the sums' registers and products that use them.
__device__ __forceinline__ void fence_products() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void commit_products() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// Waits until at most kPending of the committed groups are under way.
template <int kPending>
__device__ __forceinline__ void wait_for_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}
// Sums may be read from here on: the compiler knows no other tie between them and the wait.
template <int kCount>
__device__ __forceinline__ void settle(float (&sums)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(sums[i])::"memory");
}

#define BALLAST_EIGHT(i)                                                                     \
  "+f"(sums[i]), "+f"(sums[i + 1]), "+f"(sums[i + 2]), "+f"(sums[i + 3]), "+f"(sums[i + 4]), \
      "+f"(sums[i + 5]), "+f"(sums[i + 6]), "+f"(sums[i + 7])

// sums[64, 128] += a[64, 16] · b[128, 16]ᵀ, or = where they are not to be kept. bfloat16 factors,
// by their descriptors; the layout of the sums: "Matrix fragments for wgmma.mma_async.m64nNk16".
__device__ __forceinline__ void multiply_add(float (&sums)[64], std::uint64_t a, std::uint64_t b,
                                             bool keep) {
  asm volatile(
      "{\n"
      ".reg .pred keep;\n"
      "setp.ne.b32 keep, %66, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
      "}, %64, %65, keep, 1, 1, 0, 0;\n"
      "}"
      : BALLAST_EIGHT(0), BALLAST_EIGHT(8), BALLAST_EIGHT(16), BALLAST_EIGHT(24), BALLAST_EIGHT(32),
        BALLAST_EIGHT(40), BALLAST_EIGHT(48), BALLAST_EIGHT(56)
      : "l"(a), "l"(b), "r"(static_cast<int>(keep))
      : "memory");
}
// The same for 256 columns.
__device__ __forceinline__ void multiply_add(float (&sums)[128], std::uint64_t a, std::uint64_t b,
                                             bool keep) {
  asm volatile(
      "{\n"
      ".reg .pred keep;\n"
      "setp.ne.b32 keep, %130, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, "
      "%127"
      "}, %128, %129, keep, 1, 1, 0, 0;\n"
      "}"
      : BALLAST_EIGHT(0), BALLAST_EIGHT(8), BALLAST_EIGHT(16), BALLAST_EIGHT(24), BALLAST_EIGHT(32),
        BALLAST_EIGHT(40), BALLAST_EIGHT(48), BALLAST_EIGHT(56), BALLAST_EIGHT(64),
        BALLAST_EIGHT(72), BALLAST_EIGHT(80), BALLAST_EIGHT(88), BALLAST_EIGHT(96),
        BALLAST_EIGHT(104), BALLAST_EIGHT(112), BALLAST_EIGHT(120)
      : "l"(a), "l"(b), "r"(static_cast<int>(keep))
      : "memory");
}

#undef BALLAST_EIGHT

}  // namespace ballast::cuda
