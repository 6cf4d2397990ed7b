// Gradients of row-wise operations. Semantics: native/backend/explicit_params.h.
#pragma once

#include "native/backend/explicit_params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void LayerNormGradient(const Context& context, const LayerNormGradientParams& params);
void ActivationGradient(const Context& context, const ActivationGradientParams& params);

}  // namespace ballast::cpu
