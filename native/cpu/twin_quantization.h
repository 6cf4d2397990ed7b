// Two uniform quantizers that meet at a threshold. Semantics: native/backend/explicit_params.h.
#pragma once

#include "native/backend/explicit_params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void TwinQuantize(const Context& context, const TwinQuantizeParams& params);

}  // namespace ballast::cpu
