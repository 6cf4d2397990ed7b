// One pass that keeps the smallest bad position, and a wait for it.
#include <string>

#include "cuda/grid_loop.cuh"
#include "cuda/index_check.h"
#include "cuda/memory.h"
#include "native/core/error.h"

namespace ballast::cuda {

BadIndex FindBadIndex(const Context& context, const View& index, std::int64_t least,
                      std::int64_t limit) {
  const std::int64_t count = index.shape.elements();
  if (count == 0) return {};
  const Scratch<unsigned long long> first(context, 1);
  unsigned long long* position = first.data();
  Check(cudaMemsetAsync(position, 0xff, sizeof *position, context.stream), "checking indices");
  const std::int32_t* values = index.i32();
  ForEach(context, "the check of indices", count, [=] __device__(std::int64_t i) {
    if (values[i] < least || values[i] >= limit) {
      atomicMin(position, static_cast<unsigned long long>(i));
    }
  });
  unsigned long long found = 0;
  Check(cudaMemcpyAsync(&found, position, sizeof found, cudaMemcpyDeviceToHost, context.stream),
        "checking indices");
  Check(cudaStreamSynchronize(context.stream), "checking indices");
  if (found == ~0ull) return {};
  BadIndex bad{static_cast<std::int64_t>(found), 0};
  Check(cudaMemcpyAsync(&bad.value, values + found, sizeof bad.value, cudaMemcpyDeviceToHost,
                        context.stream),
        "checking indices");
  Check(cudaStreamSynchronize(context.stream), "checking indices");
  return bad;
}

void CheckIndex(const Context& context, std::string_view what, const View& index,
                std::int64_t limit) {
  const BadIndex bad = FindBadIndex(context, index, 0, limit);
  if (bad.position < 0) return;
  throw Error(ErrorCode::kShape, "Expected " + std::string(what) + " from 0 to " +
                                     std::to_string(limit - 1) + " but received " +
                                     std::to_string(bad.value) + " at position " +
                                     std::to_string(bad.position) + ".");
}

}  // namespace ballast::cuda
