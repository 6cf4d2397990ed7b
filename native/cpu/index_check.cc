// The first bad index is named with its place.
#include "native/cpu/index_check.h"

#include "native/backend/value_errors.h"

namespace ballast::cpu {

void CheckIndex(std::string_view what, const View& index, std::int64_t limit) {
  if (index.index_end > 0 && index.index_end <= limit) return;
  for (std::int64_t i = 0; i < index.shape.elements(); ++i) {
    const std::int32_t value = index.i32()[i];
    if (value < 0 || value >= limit) throw IndexError(what, limit, value, i);
  }
}

}  // namespace ballast::cpu
