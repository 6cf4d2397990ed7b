// The best scale of each row for the codes of a GPTQ sweep. Semantics: native/backend/params.h.
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void RefitSwept(const Context& context, const RefitSweptParams& params);

}  // namespace ballast::cpu
