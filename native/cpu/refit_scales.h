// The best scale of each row for the codes that it has. Semantics: native/backend/params.h.
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void RefitScales(const Context& context, const RefitScalesParams& params);

}  // namespace ballast::cpu
