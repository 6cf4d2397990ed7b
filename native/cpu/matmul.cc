// The product does the work; bias, activation and residual are applied to each stretch of output
// while it is in the cache.
#include "native/cpu/matmul.h"

#include "native/cpu/conversion.h"
#include "native/cpu/elementwise.h"
#include "native/cpu/gemm.h"

namespace ballast::cpu {

void Matmul(const Context& context, const MatmulParams& params) {
  const bool out_in = params.layout == WeightLayout::kOutIn;
  const std::int64_t out_channels = out_in ? params.weight.rows() : params.weight.cols();
  const RowKernels& row_kernels = context.kernels.row;
  const UnaryKernel activate = ActivationKernel(row_kernels, params.activation);
  // A residual in the output's own memory: sums are added to it, unless the activation comes
  // between.
  const bool in_place = !params.residual.empty() && params.residual.bytes == params.out.bytes;
  const bool added_to = in_place && activate == nullptr;
  const bool aside = params.out.dtype != DType::kFloat32 || (in_place && !added_to);
  const float* bias = params.bias.f32();
  const float* residual = added_to ? nullptr : params.residual.f32();
  const Product product = {
      .a = {.data = params.x.bytes, .dtype = params.x.dtype, .stride = params.x.cols()},
      .b = {.data = params.weight.bytes,
            .dtype = params.weight.dtype,
            .stride = params.weight.cols(),
            .depth_contiguous = out_in},
      .rows = params.x.rows(),
      .columns = out_channels,
      .depth = params.x.cols(),
      .out = aside ? nullptr : params.out.f32(),
      .stride = out_channels,
      .update = added_to ? Update::kAdd : Update::kStore,
  };
  const Finish finish = [&](const Finished& stretch) {
    const auto [row, rows, column, columns, first, stride] = stretch;
    for (std::int64_t i = 0; i < rows; ++i) {
      float* sums = first + i * stride;
      const std::int64_t at = (row + i) * out_channels + column;
      if (bias != nullptr) row_kernels.add(sums, bias + column, columns, sums);
      if (activate != nullptr) activate(sums, columns, sums);
      if (residual != nullptr) row_kernels.add(sums, residual + at, columns, sums);
      if (aside) WriteFloats(context.kernels, sums, columns, params.out, at);
    }
  };
  const bool plain = bias == nullptr && activate == nullptr && residual == nullptr && !aside;
  Multiply(context, GemmFor(context, params.precision, product.b), product,
           plain ? nullptr : finish);
}

}  // namespace ballast::cpu
