// sum[c] += Σ_rows x, which channel sums and fake quantization share.
#pragma once

#include "cuda/context.h"
#include "native/core/view.h"

namespace ballast::cuda {

// x [rows, c] operand type, sum [c] float64; the order of the sums follows from the shape alone.
void AddRows(const Context& context, const View& x, double* sum);

}  // namespace ballast::cuda
