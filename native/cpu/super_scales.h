// Grids of super-blocks from others. Semantics: native/backend/super_block_params.h.
#pragma once

#include "native/backend/super_block_params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void SuperScales(const Context& context, const SuperScalesParams& params);

}  // namespace ballast::cpu
