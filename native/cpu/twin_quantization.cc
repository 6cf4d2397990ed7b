// One pass over the flat data.
#include "native/cpu/twin_quantization.h"

namespace ballast::cpu {

void TwinQuantize(const Context& context, const TwinQuantizeParams& p) {
  const Twin twin{.threshold = static_cast<float>(p.threshold),
                  .low_scale = static_cast<float>(p.low_scale),
                  .low_min = static_cast<float>(p.low_min),
                  .low_max = static_cast<float>(p.low_max),
                  .high_scale = static_cast<float>(p.high_scale),
                  .high_max = static_cast<float>(p.high_max)};
  context.pool.ParallelFor(
      p.x.shape.elements(), 65536,
      [&](std::int64_t begin, std::int64_t end) {
        context.kernels.row.twin_quantize(p.x.f32() + begin, twin, end - begin,
                                          p.out.f32() + begin);
      },
      context.cancel);
}

}  // namespace ballast::cpu
