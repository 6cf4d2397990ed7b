// A moment about a centre, from shifted sums. Semantics: native/backend/params.h.
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void Moment(const Context& context, const MomentParams& params);

}  // namespace ballast::cpu
