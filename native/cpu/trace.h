// tr(M), of which damping is a share.
#pragma once

#include <cstdint>

namespace ballast::cpu {

// M [n, n]
inline double Trace(const float* matrix, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += matrix[i * (n + 1)];
  return sum;
}

}  // namespace ballast::cpu
