// Codes in super-blocks beside their scales, as GGUF files hold them. Semantics:
// native/backend/super_block_params.h.
#pragma once

#include "native/backend/super_block_params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void PackSuperBlocks(const Context& context, const SuperBlocksParams& params);
void UnpackSuperBlocks(const Context& context, const SuperBlocksParams& params);

}  // namespace ballast::cpu
