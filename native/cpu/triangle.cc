// Four columns or rows at a time are taken from what is left, in one pass over it: what limits
// these loops is loading and storing. Innermost loops run along rows, and every number is reached
// by the same subtractions in the same order as one column after the other.
#include "native/cpu/triangle.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace ballast::cpu {
namespace {

constexpr std::int64_t kTogether = 4;

// x −= Σ factors[i] · vectors[i] for elements begin … end−1, vectors `n` apart.
void SubtractFour(const double* factors, const double* vectors, std::int64_t n, std::int64_t begin,
                  std::int64_t end, double* x) {
  static_assert(kTogether == 4);
  for (std::int64_t j = begin; j < end; ++j) {
    x[j] = x[j] - factors[0] * vectors[j] - factors[1] * vectors[n + j] -
           factors[2] * vectors[2 * n + j] - factors[3] * vectors[3 * n + j];
  }
}

// Columns begin … end−1 of R, of A less what the columns after them have taken; `columns` receives
// them from the last, as far as they lie above their diagonal.
bool FactorColumns(double* a, std::int64_t n, std::int64_t begin, std::int64_t end,
                   double* columns) {
  for (std::int64_t k = end - 1; k >= begin; --k) {
    const double pivot = a[k * n + k];
    if (!(pivot > 0) || !std::isfinite(pivot)) return false;
    const double root = std::sqrt(pivot);
    a[k * n + k] = root;
    double* column = columns + (end - 1 - k) * n;
    for (std::int64_t i = 0; i < k; ++i) column[i] = a[i * n + k] /= root;
    for (std::int64_t i = 0; i < k; ++i) {
      for (std::int64_t j = std::max(i, begin); j < k; ++j) a[i * n + j] -= column[i] * column[j];
    }
  }
  return true;
}

}  // namespace

bool ReverseCholesky(double* a, std::int64_t n) {
  std::vector<double> columns(kTogether * n);
  for (std::int64_t end = n, begin; end > 0; end = begin) {
    begin = std::max<std::int64_t>(end - kTogether, 0);
    if (!FactorColumns(a, n, begin, end, columns.data())) return false;
    for (std::int64_t i = 0; i < begin; ++i) {
      const double factors[] = {columns[i], columns[n + i], columns[2 * n + i], columns[3 * n + i]};
      SubtractFour(factors, columns.data(), n, i, begin, a + i * n);
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
    std::int64_t k = i + 1;
    for (; k + kTogether <= n; k += kTogether) {
      SubtractFour(r + i * n + k, inverse + k * n, n, k, n, row);
    }
    for (; k < n; ++k) {
      for (std::int64_t j = k; j < n; ++j) row[j] -= r[i * n + k] * inverse[k * n + j];
    }
    const double scale = 1 / r[i * n + i];
    for (std::int64_t j = i; j < n; ++j) row[j] *= scale;
  }
}

}  // namespace ballast::cpu
