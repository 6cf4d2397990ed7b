// A thread a number: what neighbouring channels and tokens read is in the caches.
#include "cuda/activation.cuh"
#include "cuda/grid_loop.cuh"
#include "cuda/operations.h"

namespace ballast::cuda {

void CausalConvolution(const Context& context, const CausalConvolutionParams& p) {
  const std::int64_t channels = p.x.cols(), taps = p.weight.cols(), sequence = p.sequence;
  const Activation activation = p.activation;
  const float *x = p.x.f32(), *weight = p.weight.f32();
  float* out = p.out.f32();
  const auto element = [=] __device__(std::int64_t i) {
    const std::int64_t position = i / channels % sequence;
    const float* weights = weight + i % channels * taps;
    float sum = 0;
    for (std::int64_t back = 0; back < taps && back <= position; ++back) {
      sum += weights[taps - 1 - back] * x[i - back * channels];
    }
    out[i] = activate_element(activation, sum);
  };
  ForEach(context, "causalConvolution", p.x.shape.elements(), element);
}

}  // namespace ballast::cuda
