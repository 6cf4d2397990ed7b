// Squares of a few cache lines, so that a symmetric result can be written on both sides of the
// diagonal at once.
#include "native/cpu/moment.h"

#include <algorithm>

#include "native/core/divide_up.h"

namespace ballast::cpu {
namespace {

constexpr std::int64_t kSquare = 64;

struct Axis {
  const double* mean;
  const float* shift;  // may be null

  double Shift(std::int64_t i) const { return shift == nullptr ? 0.0 : shift[i]; }
  double Distance(std::int64_t i) const { return mean[i] - Shift(i); }
};

// The rank-one terms of row i, as factors of d_y and s_y; see MomentParams.
struct RowTerms {
  double distance_factor;
  double shift_factor;
};

RowTerms TermsOf(const Axis& x, std::int64_t i, bool centred) {
  if (centred) return {-x.Distance(i), 0.0};
  return {x.Shift(i), x.Distance(i) + x.Shift(i)};
}

}  // namespace

void Moment(const Context& context, const MomentParams& params) {
  const std::int64_t rows = params.sum.rows();
  const std::int64_t columns = params.sum.cols();
  const Axis x = {params.mean_x.f64(), params.shift_x.f32()};
  const Axis y = {params.mean_y.f64(), params.shift_y.f32()};
  const float* sum = params.sum.f32();
  float* out = params.out.f32();
  const auto square = [&](std::int64_t row, std::int64_t column) {
    const std::int64_t last_column = std::min(columns, column + kSquare);
    for (std::int64_t i = row; i < std::min(rows, row + kSquare); ++i) {
      const RowTerms terms = TermsOf(x, i, params.centred);
      for (std::int64_t j = params.symmetric ? std::max(i, column) : column; j < last_column; ++j) {
        const double value = sum[i * columns + j] / params.count +
                             terms.distance_factor * y.Distance(j) +
                             terms.shift_factor * y.Shift(j);
        out[i * columns + j] = static_cast<float>(value);
        if (params.symmetric) out[j * columns + i] = static_cast<float>(value);
      }
    }
  };
  context.pool.ParallelFor(
      DivideUp(rows, kSquare), 1,
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin * kSquare; row < end * kSquare; row += kSquare) {
          for (std::int64_t column = params.symmetric ? row : 0; column < columns;
               column += kSquare) {
            square(row, column);
          }
        }
      },
      context.cancel);
}

}  // namespace ballast::cpu
