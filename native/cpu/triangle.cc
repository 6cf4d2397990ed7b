// Loops are ordered so that the innermost runs along rows.
#include "native/cpu/triangle.h"

#include <algorithm>
#include <cmath>

namespace ballast::cpu {

bool ReverseCholesky(double* a, std::int64_t n) {
  for (std::int64_t k = n - 1; k >= 0; --k) {
    const double pivot = a[k * n + k];
    if (!(pivot > 0) || !std::isfinite(pivot)) return false;
    const double root = std::sqrt(pivot);
    a[k * n + k] = root;
    for (std::int64_t i = 0; i < k; ++i) a[i * n + k] /= root;
    // A −= r rᵀ for the rows and columns before k; column k of R, once copied, is contiguous below
    // the diagonal.
    double* column = a + k * n;
    for (std::int64_t i = 0; i < k; ++i) column[i] = a[i * n + k];
    for (std::int64_t i = 0; i < k; ++i) {
      const double factor = column[i];
      for (std::int64_t j = i; j < k; ++j) a[i * n + j] -= factor * column[j];
    }
  }
  return true;
}

void InvertUpper(const double* r, std::int64_t n, double* inverse) {
  std::fill(inverse, inverse + n * n, 0.0);
  // R U = I, solved for the rows of U from the last: r_ii u_i = e_i − Σ_{k>i} r_ik u_k.
  for (std::int64_t i = n - 1; i >= 0; --i) {
    double* row = inverse + i * n;
    row[i] = 1;
    for (std::int64_t k = i + 1; k < n; ++k) {
      const double factor = r[i * n + k];
      for (std::int64_t j = k; j < n; ++j) row[j] -= factor * inverse[k * n + j];
    }
    const double scale = 1 / r[i * n + i];
    for (std::int64_t j = i; j < n; ++j) row[j] *= scale;
  }
}

}  // namespace ballast::cpu
