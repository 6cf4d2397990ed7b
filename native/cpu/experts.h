// What mixture-of-experts blocks have besides linears. Semantics: native/backend/expert_params.h.
#pragma once

#include "native/backend/expert_params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void ChooseExperts(const Context& context, const ChooseExpertsParams& params);
void ExpertWeights(const Context& context, const ExpertWeightsParams& params);
void ClampedSwiglu(const Context& context, const ClampedSwigluParams& params);
void AddExpert(const Context& context, const AddExpertParams& params);

}  // namespace ballast::cpu
