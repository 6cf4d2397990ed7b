// Small dense triangular blocks in float64: the part of a blocked factorisation that one thread
// does alone. Eight columns or rows at a time are taken from what is left, in one pass over it,
// since what limits these loops is loading and storing; passes run along rows, in whole vectors as
// far as may be, so that they also reach numbers below the diagonal, which nobody reads. Every
// number is reached by the same subtractions in the same order as one column after the other.
#include "native/cpu/kernels/linear_parts.h"
#include "native/cpu/kernels/vector.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

constexpr std::int64_t kDoubles = kLanes / 2;
constexpr std::int64_t kTogether = 8;
static_assert(kTogether % kDoubles == 0);

// What begins a group of columns or rows.
std::int64_t GroupOf(std::int64_t i) { return i / kTogether * kTogether; }

// x −= Σ factors[c] · vectors[c] for elements begin … end−1, vectors `n` apart.
void SubtractGroup(const double* factors, const double* vectors, std::int64_t n, std::int64_t begin,
                   std::int64_t end, double* x) {
  const auto reduce = [&]<class V>(V, std::int64_t j) {
    V left = Load<V>(x + j);
#pragma GCC unroll 8
    for (int c = 0; c < kTogether; ++c) left -= factors[c] * Load<V>(vectors + c * n + j);
    Store(x + j, left);
  };
  std::int64_t j = begin;
  for (; j + kDoubles <= end; j += kDoubles) reduce(Doubles{}, j);
  for (; j < end; ++j) reduce(0.0, j);
}

// Columns begin … end−1 of R, of A less what the columns after them have taken; `columns` receives
// them from the last, as far as they lie above their diagonal.
bool FactorColumns(double* a, std::int64_t n, std::int64_t begin, std::int64_t end,
                   double* columns) {
  for (std::int64_t k = end - 1; k >= begin; --k) {
    const double pivot = a[k * n + k];
    if (!(pivot > 0) || !__builtin_isfinite(pivot)) return false;
    const double root = __builtin_sqrt(pivot);
    a[k * n + k] = root;
    double* column = columns + (end - 1 - k) * n;
    for (std::int64_t i = 0; i < k; ++i) column[i] = a[i * n + k] /= root;
    for (std::int64_t i = 0; i < k; ++i) {
      for (std::int64_t j = i > begin ? i : begin; j < k; ++j) {
        a[i * n + j] -= column[i] * column[j];
      }
    }
  }
  return true;
}

}  // namespace

bool ReverseCholesky(double* a, std::int64_t n) {
  double columns[kTogether * kMostTriangle] = {};
  for (std::int64_t end = n; end > 0; end = GroupOf(end - 1)) {
    const std::int64_t begin = GroupOf(end - 1);
    if (!FactorColumns(a, n, begin, end, columns)) return false;
    for (std::int64_t i = 0; i < begin; ++i) {
      double factors[kTogether];
      for (int c = 0; c < kTogether; ++c) factors[c] = columns[c * n + i];
      SubtractGroup(factors, columns, n, GroupOf(i), begin, a + i * n);
    }
  }
  return true;
}

void InvertUpper(const double* r, std::int64_t n, double* inverse) {
  for (std::int64_t i = 0; i < n * n; ++i) inverse[i] = 0;
  // R U = I, solved for the rows of U from the last: r_ii u_i = e_i − Σ_{k>i} r_ik u_k.
  for (std::int64_t i = n - 1; i >= 0; --i) {
    double* row = inverse + i * n;
    row[i] = 1;
    const auto subtract_row = [&](std::int64_t k) {
      for (std::int64_t j = k; j < n; ++j) row[j] -= r[i * n + k] * inverse[k * n + j];
    };
    std::int64_t k = i + 1;
    for (; k < n && k % kTogether != 0; ++k) subtract_row(k);
    for (; k + kTogether <= n; k += kTogether) {
      SubtractGroup(r + i * n + k, inverse + k * n, n, k, n, row);
    }
    for (; k < n; ++k) subtract_row(k);
    const double scale = 1 / r[i * n + i];
    for (std::int64_t j = i; j < n; ++j) row[j] *= scale;
  }
}

}  // namespace ballast::cpu::BALLAST_ISA
