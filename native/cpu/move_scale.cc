#include "native/cpu/move_scale.h"

#include <algorithm>

#include "native/cpu/grid.h"

namespace ballast::cpu {

float MoveScale(const Kernels& kernels, DType dtype, double slope, double curvature, float* scale,
                double* taken) {
  if (!(curvature > 0)) return 0;
  const double best = std::clamp(*scale + slope / curvature, 0.5 * *scale, 2.0 * *scale);
  const float stored = StoredScale(kernels, dtype, static_cast<float>(best));
  const float change = stored - *scale;
  const double gain = change * (2 * slope - change * curvature);
  if (!(gain > 0)) return 0;
  *scale = stored;
  *taken += gain;
  return change;
}

}  // namespace ballast::cpu
