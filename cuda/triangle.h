// The small triangular factorisations on which the blocked one stands.
#pragma once

#include "cuda/context.h"

namespace ballast::cuda {

constexpr int kTriangle = 64;

// Factors the [size, size] corner at `matrix` (upper triangle, size <= kTriangle) as R Rᵀ in place,
// and writes R⁻¹, zeros below its diagonal, to `inverse` [size, size]. Works in float64. Sets *bad
// to 1, and does nothing more, when a pivot is not positive; does nothing when it is set already.
void FactorTriangle(const Context& context, float* matrix, std::int64_t stride, int size,
                    float* inverse, int* bad);

}  // namespace ballast::cuda
