// Rotary position embedding. Semantics: native/backend/params.h.
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void Rope(const Context& context, const RopeParams& params);

}  // namespace ballast::cpu
