// Rows of a table by token id. Semantics: native/backend/params.h.
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void Embedding(const Context& context, const EmbeddingParams& params);

}  // namespace ballast::cpu
