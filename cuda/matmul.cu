// The product does the work; bias, activation and residual are applied to each element before it is
// written.
#include "cuda/gemm.h"
#include "cuda/numbers.cuh"
#include "cuda/operations.h"

namespace ballast::cuda {

void Matmul(const Context& context, const MatmulParams& params) {
  const bool out_in = params.layout == WeightLayout::kOutIn;
  const bool rounded = params.out.dtype == DType::kBFloat16;
  const std::int64_t out_channels = out_in ? params.weight.rows() : params.weight.cols();
  Multiply(context, "matmul",
           {.a = {.data = params.x.bytes, .dtype = params.x.dtype, .stride = params.x.cols()},
            .b = {.data = params.weight.bytes,
                  .dtype = params.weight.dtype,
                  .stride = params.weight.cols(),
                  .depth_contiguous = out_in},
            .rows = params.x.rows(),
            .columns = out_channels,
            .depth = params.x.cols(),
            .out = rounded ? nullptr : params.out.f32(),
            .rounded = rounded ? params.out.as<Bfloat>() : nullptr,
            .stride = out_channels,
            .precision = params.precision,
            .bias = params.bias.f32(),
            .activation = params.activation,
            .residual = params.residual.f32()});
}

}  // namespace ballast::cuda
