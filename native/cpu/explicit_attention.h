// The steps of attention, each by itself. Semantics: native/backend/explicit_params.h.
#pragma once

#include "native/backend/explicit_params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void HeadProduct(const Context& context, const HeadProductParams& params);
void Softmax(const Context& context, const SoftmaxParams& params);
void SoftmaxGradient(const Context& context, const SoftmaxGradientParams& params);

}  // namespace ballast::cpu
