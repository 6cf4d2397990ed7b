// Indices arrive as data (token ids, permutations, group numbers), so shape checks cannot see them.
#pragma once

#include <cstdint>
#include <string_view>

#include "cuda/context.h"
#include "native/core/view.h"

namespace ballast::cuda {

// The first position whose int32 is outside least … limit − 1, or −1. Waits for the stream: the
// operations behind it must not read out of bounds, and their errors name the index.
struct BadIndex {
  std::int64_t position = -1;
  std::int32_t value = 0;
};
BadIndex FindBadIndex(const Context& context, const View& index, std::int64_t least,
                      std::int64_t limit);

// Throws Error{kShape} unless every int32 of `index` is in 0 … limit − 1; `what` names them.
void CheckIndex(const Context& context, std::string_view what, const View& index,
                std::int64_t limit);

}  // namespace ballast::cuda
