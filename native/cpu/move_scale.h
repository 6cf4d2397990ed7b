// The exact refit of one scale, with which all refits end, and of one offset.
#pragma once

#include "native/core/dtype.h"
#include "native/cpu/kernels/kernels.h"

namespace ballast::cpu {

// With δ a scale's change and u = code − zero over its group, e(δ) = e − 2δ (u·r) + δ² (u M uᵀ).
// Moves the scale to the least of it, rounded to `dtype`, if that lowers e: adds what it took off
// to `taken` and returns δ. Codes that say nothing of their weights could ask for any scale: at
// most a factor of two.
float MoveScale(const Kernels& kernels, DType dtype, double slope, double curvature, float* scale,
                double* taken);

// Whole multiples of a float16 number, few enough to be exact; of the step 0 there are none.
struct Multiples {
  float step;
  int least;
  int most;
};
// The same for a scale or an offset that is one of `multiples`, u being what one unit of it adds.
float MoveMultiple(double slope, double curvature, Multiples multiples, float* value,
                   double* taken);

}  // namespace ballast::cpu
