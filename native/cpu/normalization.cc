// Rows in parallel; a row's arithmetic is one kernel call.
#include "native/cpu/normalization.h"

#include "native/cpu/rows.h"

namespace ballast::cpu {

void LayerNorm(const Context& context, const LayerNormParams& params) {
  const std::int64_t n = params.x.cols();
  MakeRows(context, params.out, RowsOfTask(n), [&](std::int64_t row, float* out) {
    context.kernels.row.layer_norm(params.x.f32() + row * n, params.weight.f32(), params.bias.f32(),
                                   params.eps, n, out);
  });
}

void RmsNorm(const Context& context, const RmsNormParams& params) {
  const std::int64_t n = params.x.cols();
  MakeRows(context, params.out, RowsOfTask(n), [&](std::int64_t row, float* out) {
    context.kernels.row.rms_norm(params.x.f32() + row * n, params.weight.f32(), params.eps,
                                 static_cast<float>(params.weight_offset), n, out);
  });
}

}  // namespace ballast::cpu
