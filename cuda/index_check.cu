// One pass that keeps the smallest bad position, and a wait for it.
#include "cuda/grid_loop.cuh"
#include "cuda/index_check.h"
#include "cuda/memory.h"
#include "native/backend/value_errors.h"

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
  if (index.index_end > 0 && index.index_end <= limit) return;
  const BadIndex bad = FindBadIndex(context, index, 0, limit);
  if (bad.position >= 0) throw IndexError(what, limit, bad.value, bad.position);
}

}  // namespace ballast::cuda
