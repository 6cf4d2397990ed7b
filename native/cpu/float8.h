// Weights stored as float8_e4m3fn. Semantics: native/backend/params.h.
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void DequantizeFloat8(const Context& context, const DequantizeFloat8Params& params);

}  // namespace ballast::cpu
