// Indices arrive as data (token ids, permutations, group numbers), so shape checks cannot see them.
#pragma once

#include <cstdint>
#include <string_view>

#include "native/core/view.h"

namespace ballast::cpu {

// Throws Error{kShape} unless every int32 of `index` is in 0 … limit − 1; `what` names them.
void CheckIndex(std::string_view what, const View& index, std::int64_t limit);

}  // namespace ballast::cpu
