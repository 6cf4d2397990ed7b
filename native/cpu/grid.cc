// Float32 in the order of the definition: (high − low) / max_code, then round(−low / scale), half
// to even.
#include "native/cpu/grid.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "native/cpu/conversion.h"

namespace ballast::cpu {
float StoredScale(const Kernels& kernels, DType dtype, float scale) {
  const bool half = dtype == DType::kFloat16;
  return std::clamp(RoundTo(kernels, dtype, scale), half ? 0x1p-24f : FLT_MIN,
                    half ? 65504.0f : FLT_MAX);
}

float MaxCode(int bits) { return static_cast<float>((1 << bits) - 1); }

Interval RangeOf(const Kernels& kernels, const float* x, std::int64_t n) {
  Interval range;
  kernels.row.range(x, n, &range.low, &range.high);
  return range;
}

Grid GridOf(const Kernels& kernels, const Scheme& scheme, Interval range) {
  if (range.low == 0 && range.high == 0) range = {-1.0f, 1.0f};
  const float max_code = MaxCode(scheme.bits);
  if (scheme.symmetric) {
    const float largest = std::max(-range.low, range.high);
    return {StoredScale(kernels, scheme.scale_dtype, 2 * largest / max_code),
            static_cast<float>(1 << (scheme.bits - 1))};
  }
  const float scale = StoredScale(kernels, scheme.scale_dtype, (range.high - range.low) / max_code);
  // A scale that storage rounded down could put the zero beyond the codes.
  return {scale, std::clamp(std::nearbyint(-range.low / scale), 0.0f, max_code)};
}

}  // namespace ballast::cpu
