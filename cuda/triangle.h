// The small triangular factorisations on which the blocked one stands.
#pragma once

#include <vector>

#include "cuda/context.h"
#include "native/backend/sweep_blocks.h"

namespace ballast::cuda {

constexpr int kTriangle = 64;

// Factors the [size, size] corner at `matrix` (upper triangle, size <= kTriangle) as R Rᵀ in place,
// and writes R⁻¹, zeros below its diagonal, to `inverse` [size, size]. Works in float64. Sets *bad
// to 1, and does nothing more, when a pivot is not positive; does nothing when it is set already.
void FactorTriangle(const Context& context, float* matrix, std::int64_t stride, int size,
                    float* inverse, int* bad);

// R_BB⁻¹ of the squares that blocks of columns have on the diagonal of R [n, n], one after the
// other in `inverses`, each [SweepBlocks::kMost, SweepBlocks::kMost], zero where a block has no
// column. Sums in float64.
void InvertSquares(const Context& context, const float* factor, std::int64_t n,
                   const std::vector<SweepBlock>& blocks, float* inverses);

}  // namespace ballast::cuda
