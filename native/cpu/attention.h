// Softmax attention. Semantics: native/backend/params.h.
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void Attention(const Context& context, const AttentionParams& params);

}  // namespace ballast::cpu
