// Weights stored as MXFP4. Semantics: native/backend/params.h.
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void DequantizeFloat4(const Context& context, const DequantizeFloat4Params& params);

}  // namespace ballast::cpu
