// out = weight · vector in float64. Semantics: native/backend/params.h.
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void Matvec(const Context& context, const MatvecParams& params);

}  // namespace ballast::cpu
