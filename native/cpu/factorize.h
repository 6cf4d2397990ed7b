// The inverse of the reverse Cholesky factor of a damped second moment. Semantics:
// native/backend/params.h.
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void Factorize(const Context& context, const FactorizeParams& params);

}  // namespace ballast::cpu
