// Tokens in parallel. The weights are turned once, so that what a tap has for neighbouring channels
// lies side by side; a token then is a few sums of products of rows.
#include "native/cpu/causal_convolution.h"

#include "native/cpu/elementwise.h"
#include "native/cpu/rows.h"

namespace ballast::cpu {
namespace {

// out = or += weights · x
template <bool kAdds>
void Products(const float* x, const float* weights, std::int64_t n, float* out) {
  for (std::int64_t c = 0; c < n; ++c) out[c] = weights[c] * x[c] + (kAdds ? out[c] : 0.0f);
}

}  // namespace

void CausalConvolution(const Context& context, const CausalConvolutionParams& p) {
  const std::int64_t channels = p.x.cols(), taps = p.weight.cols();
  const UnaryKernel activate = ActivationKernel(context.kernels.row, p.activation);
  Scratch<float> turned(taps * channels);
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t j = 0; j < taps; ++j) {
      turned[j * channels + c] = p.weight.f32()[c * taps + j];
    }
  }
  ForEachRow(context, p.x.rows(), RowsOfTask(channels), [&](std::int64_t row) {
    float* const out = p.out.f32() + row * channels;
    const std::int64_t position = row % p.sequence;
    for (std::int64_t back = 0; back < taps && back <= position; ++back) {
      const float* x = p.x.f32() + (row - back) * channels;
      const float* weights = turned.data() + (taps - 1 - back) * channels;
      back == 0 ? Products<false>(x, weights, channels, out)
                : Products<true>(x, weights, channels, out);
    }
    if (activate != nullptr) activate(out, channels, out);
  });
}

}  // namespace ballast::cpu
