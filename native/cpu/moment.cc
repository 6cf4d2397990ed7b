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

// One square of the result, made aside: where columns lie a multiple of a page apart, writing down
// them would drive each line out of the cache before the next number of it comes.
class Square {
 public:
  Square(const MomentParams& params, std::int64_t row, std::int64_t column)
      : params_(params),
        row_(row),
        column_(column),
        rows_(std::min(params.sum.rows() - row, kSquare)),
        columns_(std::min(params.sum.cols() - column, kSquare)) {}

  void Make() {
    const Axis x = {params_.mean_x.f64(), params_.shift_x.f32()};
    const Axis y = {params_.mean_y.f64(), params_.shift_y.f32()};
    double distance[kSquare], shift[kSquare];
    for (std::int64_t j = 0; j < columns_; ++j) {
      distance[j] = y.Distance(column_ + j);
      shift[j] = y.Shift(column_ + j);
    }
    for (std::int64_t i = 0; i < rows_; ++i) {
      const RowTerms terms = TermsOf(x, row_ + i, params_.centred);
      const float* sum = params_.sum.f32() + (row_ + i) * params_.sum.cols() + column_;
      for (std::int64_t j = 0; j < columns_; ++j) {
        made_[i][j] =
            static_cast<float>(sum[j] / params_.count + terms.distance_factor * distance[j] +
                               terms.shift_factor * shift[j]);
      }
    }
  }

  // A square on the diagonal takes what is below it from above.
  void Mirror() {
    for (std::int64_t i = 0; i < rows_; ++i) {
      for (std::int64_t j = 0; j < i; ++j) made_[i][j] = made_[j][i];
    }
  }

  void Write() const {
    for (std::int64_t i = 0; i < rows_; ++i) {
      std::copy(made_[i], made_[i] + columns_, Out(row_ + i, column_));
    }
  }

  void WriteTransposed() const {
    for (std::int64_t j = 0; j < columns_; ++j) {
      float* out = Out(column_ + j, row_);
      for (std::int64_t i = 0; i < rows_; ++i) out[i] = made_[i][j];
    }
  }

 private:
  float* Out(std::int64_t row, std::int64_t column) const {
    return params_.out.f32() + row * params_.out.cols() + column;
  }

  const MomentParams& params_;
  const std::int64_t row_;
  const std::int64_t column_;
  const std::int64_t rows_;
  const std::int64_t columns_;
  float made_[kSquare][kSquare + 1];
};

}  // namespace

void Moment(const Context& context, const MomentParams& params) {
  const bool symmetric = params.symmetric;
  context.pool.ParallelFor(
      DivideUp(params.sum.rows(), kSquare), 1,
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin * kSquare; row < end * kSquare; row += kSquare) {
          for (std::int64_t column = symmetric ? row : 0; column < params.sum.cols();
               column += kSquare) {
            Square square(params, row, column);
            square.Make();
            if (symmetric && row == column) square.Mirror();
            square.Write();
            if (symmetric && row != column) square.WriteTransposed();
          }
        }
      },
      context.cancel);
}

}  // namespace ballast::cpu
