// One pass over the flat data, with the CPU's float32 operations: the same values bit for bit.
#include "cuda/grid.cuh"
#include "cuda/grid_loop.cuh"
#include "cuda/operations.h"

namespace ballast::cuda {

void TwinQuantize(const Context& context, const TwinQuantizeParams& p) {
  const float* x = p.x.f32();
  float* out = p.out.f32();
  const auto threshold = static_cast<float>(p.threshold);
  const auto low_scale = static_cast<float>(p.low_scale);
  const auto low_min = static_cast<float>(p.low_min), low_max = static_cast<float>(p.low_max);
  const auto high_scale = static_cast<float>(p.high_scale);
  const auto high_max = static_cast<float>(p.high_max);
  ForEach(context, "twinQuantize", p.x.shape.elements(), [=] __device__(std::int64_t i) {
    const float value = x[i];
    out[i] = value < threshold
                 ? clamp_float(rintf(value / low_scale), low_min, low_max) * low_scale
                 : clamp_float(rintf(value / high_scale), 0.0f, high_max) * high_scale;
  });
}

}  // namespace ballast::cuda
