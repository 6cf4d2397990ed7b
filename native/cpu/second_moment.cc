// The product Xᵀ Y over the tokens, added to the running sum: a partial sum is formed for each
// stretch of tokens that the kernel takes at once, and only that is added, which keeps long sums
// accurate. Shifts are subtracted while operands are packed.
#include "native/cpu/second_moment.h"

#include "native/cpu/gemm.h"

namespace ballast::cpu {

void SecondMoment(const Context& context, const SecondMomentParams& params) {
  if (params.x.rows() == 0) return;  // or all of the sum would be read and written to add nothing
  const auto transposed = [](const View& tokens, const View& shift) {
    return Operand{.data = tokens.bytes,
                   .dtype = tokens.dtype,
                   .stride = tokens.cols(),
                   .depth_contiguous = false,
                   .shift = shift.f32()};
  };
  const bool symmetric = params.y.empty();
  const Operand a = transposed(params.x, params.shift_x);
  const Product product = {
      .a = a,
      .b = symmetric ? a : transposed(params.y, params.shift_y),
      .rows = params.x.cols(),
      .columns = params.sum.cols(),
      .depth = params.x.rows(),
      .out = params.sum.f32(),
      .stride = params.sum.cols(),
      .update = Update::kAdd,
      .upper = symmetric,
  };
  constexpr std::int64_t kWide = 1024;
  const GemmKernels& kernels = product.columns < kWide
                                   ? NarrowGemmFor(context, params.precision)
                                   : GemmFor(context, params.precision, product.b);
  Multiply(context, kernels, product);
}

}  // namespace ballast::cpu
