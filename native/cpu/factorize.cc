// H = R Rᵀ from the last block column to the first, then R⁻¹ from the first to the last, both in
// place in the output. Diagonal blocks are factored and inverted in float64; the rest is products
// on the shared kernels, whose outputs cover no zeros:
//   factor:  R_IJ = A_IJ R_JJ⁻ᵀ,        A_II' −= R_IJ R_I'Jᵀ        for I <= I' < J
//   invert:  U_IJ = S_IJ R_JJ⁻¹,        S_IK −= U_IJ R_JK           for I <= J < K,  S = I at first
#include "native/cpu/factorize.h"

#include <algorithm>
#include <vector>

#include "native/backend/damping.h"
#include "native/cpu/gemm.h"
#include "native/cpu/scratch.h"
#include "native/cpu/triangle.h"

namespace ballast::cpu {
namespace {

constexpr std::int64_t kBlock = 128;

class Factorization {
 public:
  Factorization(const Context& context, const FactorizeParams& params)
      : context_(context),
        n_(params.matrix.cols()),
        matrix_(params.matrix.f32()),
        out_(params.out.f32()),
        panel_(n_ * kBlock),
        inverse_(n_ * kBlock),
        square_(kBlock * kBlock),
        square_inverse_(kBlock * kBlock) {}

  double MeanDiagonal() const {
    double sum = 0;
    std::int64_t live = 0;
    for (std::int64_t i = 0; i < n_; ++i) {
      if (IsDead(i)) continue;
      sum += matrix_[i * n_ + i];
      ++live;
    }
    return live == 0 ? 0 : sum / static_cast<double>(live);
  }

  // False when H is not positive definite in float32.
  bool Factor(double added) {
    LoadUpper(added);
    for (std::int64_t first = LastBlock(); first >= 0; first -= kBlock) {
      const std::int64_t size = std::min(kBlock, n_ - first);
      if (!FactorDiagonal(first, size)) return false;
      if (first == 0) break;
      // R_IJ = A_IJ R_JJ⁻ᵀ, kept in panel_ as well since a product may not overlap its factors.
      Product({.data = out_ + first, .stride = n_}, {.data = Inverse(first), .stride = size}, first,
              size, size, panel_.data(), size, Update::kStore);
      CopyPanel(first, first, size);
      const Operand column = {.data = panel_.data(), .stride = size};
      Product(column, column, first, first, size, out_, n_, Update::kSubtract, true);
    }
    return true;
  }

  // Turns R into R⁻¹.
  void Invert() {
    for (std::int64_t first = 0; first < n_; first += kBlock) {
      const std::int64_t size = std::min(kBlock, n_ - first);
      const std::int64_t end = first + size;
      // U_IJ for the rows above, from S_IJ, and U_JJ.
      Product({.data = out_ + first, .stride = n_},
              {.data = Inverse(first), .stride = size, .depth_contiguous = false}, first, size,
              size, panel_.data(), size, Update::kStore);
      std::copy(Inverse(first), Inverse(first) + size * size, panel_.data() + first * size);
      CopyPanel(end, first, size);
      SubtractFromLater(first, size);
    }
  }

 private:
  bool IsDead(std::int64_t i) const { return !(matrix_[i * n_ + i] > 0); }
  std::int64_t LastBlock() const { return (n_ - 1) / kBlock * kBlock; }
  // R_JJ⁻¹ of the block that begins at `first`, [size, size] float32.
  float* Inverse(std::int64_t first) { return inverse_.data() + first * kBlock; }

  void Product(const Operand& a, const Operand& b, std::int64_t rows, std::int64_t columns,
               std::int64_t depth, float* out, std::int64_t stride, Update update,
               bool upper = false) {
    Multiply(context_, context_.kernels.linear.float32,
             {a, b, rows, columns, depth, out, stride, update, upper});
  }

  void LoadUpper(double added) {
    std::vector<char> dead(n_);
    for (std::int64_t i = 0; i < n_; ++i) dead[i] = IsDead(i);
    context_.pool.ParallelFor(
        n_, 16,
        [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i) {
            float* row = out_ + i * n_;
            std::fill(row, row + i, 0.0f);
            for (std::int64_t j = i; j < n_; ++j) {
              row[j] = dead[i] || dead[j] ? 0.0f : matrix_[i * n_ + j];
            }
            row[i] = dead[i] ? 1.0f : static_cast<float>(matrix_[i * n_ + i] + added);
          }
        },
        context_.cancel);
  }

  bool FactorDiagonal(std::int64_t first, std::int64_t size) {
    double* square = square_.data();
    float* corner = out_ + first * n_ + first;
    for (std::int64_t i = 0; i < size; ++i) {
      std::copy(corner + i * n_, corner + i * n_ + size, square + i * size);
    }
    if (!ReverseCholesky(square, size)) return false;
    InvertUpper(square, size, square_inverse_.data());
    for (std::int64_t i = 0; i < size; ++i) {
      for (std::int64_t j = i; j < size; ++j) {
        corner[i * n_ + j] = static_cast<float>(square[i * size + j]);
      }
    }
    std::copy(square_inverse_.data(), square_inverse_.data() + size * size, Inverse(first));
    return true;
  }

  void CopyPanel(std::int64_t rows, std::int64_t column, std::int64_t size) {
    for (std::int64_t i = 0; i < rows; ++i) {
      std::copy(panel_.data() + i * size, panel_.data() + (i + 1) * size, out_ + i * n_ + column);
    }
  }

  // S_IK −= U_IJ R_JK. Rows J of S take the place of R_JK, which therefore moves aside first.
  void SubtractFromLater(std::int64_t first, std::int64_t size) {
    const std::int64_t end = first + size;
    const std::int64_t later = n_ - end;
    if (later == 0) return;
    Scratch<float> factor(size * later);
    for (std::int64_t i = 0; i < size; ++i) {
      float* row = out_ + (first + i) * n_ + end;
      std::copy(row, row + later, factor.data() + i * later);
      std::fill(row, row + later, 0.0f);
    }
    Product({.data = panel_.data(), .stride = size},
            {.data = factor.data(), .stride = later, .depth_contiguous = false}, end, later, size,
            out_ + end, n_, Update::kSubtract);
  }

  const Context& context_;
  const std::int64_t n_;
  const float* const matrix_;
  float* const out_;
  Scratch<float> panel_;    // [rows, size]: a block column of R or U
  Scratch<float> inverse_;  // R_JJ⁻¹ for each J
  Scratch<double> square_;
  Scratch<double> square_inverse_;
};

}  // namespace

void Factorize(const Context& context, const FactorizeParams& params) {
  Factorization factorization(context, params);
  const double mean = factorization.MeanDiagonal();
  params.info.f64()[0] =
      FactorDamped(params, [&](double damping) { return factorization.Factor(damping * mean); });
  factorization.Invert();
}

}  // namespace ballast::cpu
