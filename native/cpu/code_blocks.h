// Codes in blocks beside their scales, as GGUF files hold them. Semantics: native/backend/params.h.
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void PackBlocks(const Context& context, const CodeBlocksParams& params);
void UnpackBlocks(const Context& context, const CodeBlocksParams& params);

}  // namespace ballast::cpu
