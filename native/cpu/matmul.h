// out = activation(x Wᵀ + bias) + residual. Semantics: native/backend/params.h.
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void Matmul(const Context& context, const MatmulParams& params);

}  // namespace ballast::cpu
