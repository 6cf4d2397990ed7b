#include "native/cpu/move_scale.h"

#include <algorithm>
#include <cmath>

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

float MoveMultiple(double slope, double curvature, Multiples multiples, float* value,
                   double* taken) {
  if (!(curvature > 0) || !(multiples.step > 0)) return 0;
  const double best = std::nearbyint((*value + slope / curvature) / multiples.step) + 0.0;
  const double whole =
      std::clamp(best, static_cast<double>(multiples.least), static_cast<double>(multiples.most));
  const float stored = multiples.step * static_cast<float>(whole);
  const float change = stored - *value;
  const double gain = change * (2 * slope - change * curvature);
  if (!(gain > 0)) return 0;
  *value = stored;
  *taken += gain;
  return change;
}

}  // namespace ballast::cpu
