// The exact refit of one scale, with which all refits end, and of one offset.
#pragma once

#include "cuda/grid.cuh"

namespace ballast::cuda {

// With δ a scale's change and u = code − zero over its group, e(δ) = e − 2δ (u·r) + δ² (u M uᵀ).
// Moves the scale to the least of it, rounded to `dtype`, if that lowers e: adds what it took off
// to `taken` and returns δ. Codes that say nothing of their weights could ask for any scale: at
// most a factor of two.
__device__ __forceinline__ float move_scale(DType dtype, double slope, double curvature,
                                            float& scale, double& taken) {
  if (!(curvature > 0)) return 0;
  const double best = fmin(fmax(scale + slope / curvature, 0.5 * scale), 2.0 * scale);
  const float stored = stored_scale(dtype, static_cast<float>(best));
  const float change = stored - scale;
  const double gain = change * (2 * slope - change * curvature);
  if (!(gain > 0)) return 0;
  scale = stored;
  taken += gain;
  return change;
}

// Whole multiples of a float16 number, few enough to be exact; of the step 0 there are none.
struct Multiples {
  float step;
  int least;
  int most;
};

// The same for a scale or an offset that is one of `multiples`, u being what one unit of it adds.
__device__ __forceinline__ float move_multiple(double slope, double curvature, Multiples multiples,
                                               float& value, double& taken) {
  if (!(curvature > 0) || !(multiples.step > 0)) return 0;
  const double best = rint((value + slope / curvature) / multiples.step) + 0.0;
  const double least = multiples.least, most = multiples.most;
  const double whole = best < least ? least : (most < best ? most : best);
  const float stored = multiples.step * static_cast<float>(whole);
  const float change = stored - value;
  const double gain = change * (2 * slope - change * curvature);
  if (!(gain > 0)) return 0;
  value = stored;
  taken += gain;
  return change;
}

}  // namespace ballast::cuda
