// Products of which only sums along their rows are wanted are made for a band of rows at a time.
#pragma once

#include <algorithm>
#include <cstdint>

#include "native/core/divide_up.h"

namespace ballast::cpu {

// Rows of a band of a product `width` numbers wide: bands are as high as 16 MiB allow, since what
// is multiplied with them is packed once for each, and equally high.
inline std::int64_t BandRows(std::int64_t rows, std::int64_t width) {
  constexpr std::int64_t kProductFloats = std::int64_t{1} << 22;
  constexpr std::int64_t kLeastRows = 64;
  if (rows == 0 || width == 0) return rows;
  const std::int64_t most = std::max(kProductFloats / width, kLeastRows);
  return DivideUp(rows, DivideUp(rows, most));
}

}  // namespace ballast::cpu
