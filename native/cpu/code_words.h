// Codes in as few bits as they need, as files hold them. Semantics: native/backend/params.h.
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void PackCodes(const Context& context, const CodeWordsParams& params);
void UnpackCodes(const Context& context, const CodeWordsParams& params);

}  // namespace ballast::cpu
