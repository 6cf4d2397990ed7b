// Layer norm and RMS norm over rows. Semantics: native/backend/params.h.
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void LayerNorm(const Context& context, const LayerNormParams& params);
void RmsNorm(const Context& context, const RmsNormParams& params);

}  // namespace ballast::cpu
