// Rows in parallel; a row's arithmetic is one kernel call.
#include "native/cpu/normalization.h"

#include <algorithm>

namespace ballast::cpu {
namespace {

// Calls body(row) for all rows, some 32k elements a task.
template <class F>
void ForEachRow(const Context& context, const View& x, F body) {
  const std::int64_t grain = std::max<std::int64_t>(32768 / std::max<std::int64_t>(x.cols(), 1), 1);
  context.pool.ParallelFor(
      x.rows(), grain,
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) body(row);
      },
      context.cancel);
}

}  // namespace

void LayerNorm(const Context& context, const LayerNormParams& params) {
  const std::int64_t n = params.x.cols();
  ForEachRow(context, params.x, [&](std::int64_t row) {
    context.kernels.row.layer_norm(params.x.f32() + row * n, params.weight.f32(), params.bias.f32(),
                                   params.eps, n, params.out.f32() + row * n);
  });
}

void RmsNorm(const Context& context, const RmsNormParams& params) {
  const std::int64_t n = params.x.cols();
  ForEachRow(context, params.x, [&](std::int64_t row) {
    context.kernels.row.rms_norm(params.x.f32() + row * n, params.weight.f32(), params.eps,
                                 static_cast<float>(params.weight_offset), n,
                                 params.out.f32() + row * n);
  });
}

}  // namespace ballast::cpu
