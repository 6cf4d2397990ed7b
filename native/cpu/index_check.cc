// The first bad index is named with its place, since that is what leads back to the text or file it
// is from.
#include "native/cpu/index_check.h"

#include <string>

#include "native/core/error.h"

namespace ballast::cpu {

void CheckIndex(std::string_view what, const View& index, std::int64_t limit) {
  for (std::int64_t i = 0; i < index.shape.elements(); ++i) {
    const std::int32_t value = index.i32()[i];
    if (value >= 0 && value < limit) continue;
    throw Error(ErrorCode::kShape, "Expected " + std::string(what) + " from 0 to " +
                                       std::to_string(limit - 1) + " but received " +
                                       std::to_string(value) + " at position " + std::to_string(i) +
                                       ".");
  }
}

}  // namespace ballast::cpu
