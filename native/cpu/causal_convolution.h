// The convolution before linear attention. Semantics: native/backend/recurrence_params.h.
#pragma once

#include "native/backend/recurrence_params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void CausalConvolution(const Context& context, const CausalConvolutionParams& params);

}  // namespace ballast::cpu
