// Linear attention by the gated delta rule. Semantics: native/backend/recurrence_params.h.
#pragma once

#include "native/backend/recurrence_params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void GatedDeltaRule(const Context& context, const GatedDeltaRuleParams& params);

}  // namespace ballast::cpu
