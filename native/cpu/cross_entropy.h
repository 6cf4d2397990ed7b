// Negative log-likelihood of target tokens. Semantics: native/backend/params.h.
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void CrossEntropy(const Context& context, const CrossEntropyParams& params);

}  // namespace ballast::cpu
