// Elements that are only moved: their size matters, their meaning does not.
#pragma once

#include <cstdint>

#include "native/core/dtype.h"

namespace ballast::cpu {

// Calls f with a value of the unsigned type as wide as the dtype.
template <class F>
void WithWord(DType dtype, F f) {
  switch (SizeOf(dtype)) {
    case 1:
      return f(std::uint8_t{});
    case 2:
      return f(std::uint16_t{});
    case 4:
      return f(std::uint32_t{});
    default:
      return f(std::uint64_t{});
  }
}

}  // namespace ballast::cpu
