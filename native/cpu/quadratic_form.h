// out[o] = Δ_o M Δ_oᵀ for every row of a matrix. Semantics: native/backend/params.h.
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void QuadraticForm(const Context& context, const QuadraticFormParams& params);

}  // namespace ballast::cpu
