// sum += (x − shift_x)ᵀ (y − shift_y). Semantics: native/backend/params.h.
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void SecondMoment(const Context& context, const SecondMomentParams& params);

}  // namespace ballast::cpu
