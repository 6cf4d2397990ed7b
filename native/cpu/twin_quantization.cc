// One pass over the flat data; both sides are computed for each element, which keeps the loop free
// of branches.
#include "native/cpu/twin_quantization.h"

#include <algorithm>
#include <cmath>

namespace ballast::cpu {

void TwinQuantize(const Context& context, const TwinQuantizeParams& p) {
  const auto threshold = static_cast<float>(p.threshold);
  const auto low = static_cast<float>(p.low_scale);
  const auto high = static_cast<float>(p.high_scale);
  const auto low_min = static_cast<float>(p.low_min);
  const auto low_max = static_cast<float>(p.low_max);
  const auto high_max = static_cast<float>(p.high_max);
  context.pool.ParallelFor(
      p.x.shape.elements(), 65536,
      [&](std::int64_t begin, std::int64_t end) {
        const float* in = p.x.f32();
        float* out = p.out.f32();
        for (std::int64_t i = begin; i < end; ++i) {
          const float x = in[i];
          const float below = low * std::clamp(std::nearbyint(x / low), low_min, low_max);
          const float above = high * std::clamp(std::nearbyint(x / high), 0.0f, high_max);
          out[i] = x < threshold ? below : above;
        }
      },
      context.cancel);
}

}  // namespace ballast::cpu
