// The product does the work; bias, activation and residual are applied to each stretch of output
// while it is in the cache.
#include "native/cpu/matmul.h"

#include "native/cpu/elementwise.h"
#include "native/cpu/gemm.h"
#include "native/cpu/scratch.h"

namespace ballast::cpu {

void Matmul(const Context& context, const MatmulParams& params) {
  const bool out_in = params.layout == WeightLayout::kOutIn;
  const std::int64_t out_channels = out_in ? params.weight.rows() : params.weight.cols();
  const RowKernels& row_kernels = context.kernels.row;
  const UnaryKernel activate = ActivationKernel(row_kernels, params.activation);
  // A residual in the output's own memory: sums are added to it, unless the activation comes
  // between.
  const bool in_place = !params.residual.empty() && params.residual.bytes == params.out.bytes;
  const bool aside = in_place && activate != nullptr;
  Scratch<float> before_residual(aside ? params.out.shape.elements() : 0);
  float* const product_out = aside ? before_residual.data() : params.out.f32();
  const float* bias = params.bias.f32();
  const float* residual = in_place && !aside ? nullptr : params.residual.f32();
  const Product product = {
      .a = {.data = params.x.bytes, .stride = params.x.cols()},
      .b = {.data = params.weight.bytes,
            .dtype = params.weight.dtype,
            .stride = params.weight.cols(),
            .depth_contiguous = out_in},
      .rows = params.x.rows(),
      .columns = out_channels,
      .depth = params.x.cols(),
      .out = product_out,
      .stride = out_channels,
      .update = in_place && !aside ? Update::kAdd : Update::kStore,
  };
  const Finish finish = [&](std::int64_t row, std::int64_t rows, std::int64_t column,
                            std::int64_t columns) {
    for (std::int64_t i = row; i < row + rows; ++i) {
      const std::int64_t at = i * out_channels + column;
      float* sums = product_out + at;
      if (bias != nullptr) row_kernels.add(sums, bias + column, columns, sums);
      if (activate != nullptr) activate(sums, columns, sums);
      if (residual != nullptr) row_kernels.add(sums, residual + at, columns, params.out.f32() + at);
    }
  };
  const bool plain = bias == nullptr && activate == nullptr && residual == nullptr;
  Multiply(context, GemmFor(context, params.precision), product, plain ? nullptr : finish);
}

}  // namespace ballast::cpu
