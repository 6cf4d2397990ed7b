// Coordinate descent on codes and exact refits of scales (native/backend/params.h).
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void Descend(const Context& context, const DescendParams& params);

}  // namespace ballast::cpu
