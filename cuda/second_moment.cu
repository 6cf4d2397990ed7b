// The product Xᵀ Y over the tokens, added to the running sum stretch by stretch: that keeps long
// sums accurate and the packed copies small. Shifts are subtracted while operands are packed.
#include <algorithm>

#include "cuda/gemm.h"
#include "cuda/operations.h"

namespace ballast::cuda {
namespace {

constexpr std::int64_t kStretch = 16384;  // tokens

// Tokens first … of a tensor as a factor whose items are its channels.
Operand Channels(const View& tokens, const View& shift, std::int64_t first) {
  return {.data = tokens.bytes +
                  first * tokens.cols() * static_cast<std::int64_t>(SizeOf(tokens.dtype)),
          .dtype = tokens.dtype,
          .stride = tokens.cols(),
          .depth_contiguous = false,
          .shift = shift.f32()};
}

}  // namespace

void SecondMoment(const Context& context, const SecondMomentParams& params) {
  const bool symmetric = params.y.empty();
  for (std::int64_t first = 0; first < params.x.rows(); first += kStretch) {
    const Operand x = Channels(params.x, params.shift_x, first);
    Multiply(context, "secondMoment",
             {.a = x,
              .b = symmetric ? x : Channels(params.y, params.shift_y, first),
              .rows = params.x.cols(),
              .columns = params.sum.cols(),
              .depth = std::min(kStretch, params.x.rows() - first),
              .out = params.sum.f32(),
              .stride = params.sum.cols(),
              .update = Update::kAdd,
              .upper = symmetric,
              .precision = params.precision});
  }
}

}  // namespace ballast::cuda
