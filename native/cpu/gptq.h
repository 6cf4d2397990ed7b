// The GPTQ sweep (arXiv 2210.17323). Semantics: native/backend/params.h.
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void Gptq(const Context& context, const GptqParams& params);

}  // namespace ballast::cpu
