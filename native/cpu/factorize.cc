// H = R Rᵀ from the last block column to the first, then, where it is asked for, R⁻¹ from the first
// to the last, both in place in the output. Diagonal blocks are factored and inverted in float64;
// the rest is products on the shared kernels, whose outputs cover no zeros:
//   factor:  R_IJ = A_IJ R_JJ⁻ᵀ,        A_II' −= R_IJ R_I'Jᵀ        for I <= I' < J
//   invert:  U_IJ = S_IJ R_JJ⁻¹,        S_IK −= U_IJ R_JK           for I <= J < K,  S = I at first
#include "native/cpu/factorize.h"

#include <algorithm>
#include <vector>

#include "native/backend/damping.h"
#include "native/cpu/gemm.h"
#include "native/cpu/rows.h"
#include "native/cpu/scratch.h"

namespace ballast::cpu {
namespace {

constexpr std::int64_t kBlock = kMostTriangle;
constexpr std::int64_t kRowsOfTask = 16;

class Factorization {
 public:
  Factorization(const Context& context, const FactorizeParams& params)
      : context_(context),
        n_(params.matrix.cols()),
        matrix_(params.matrix.f32()),
        out_(params.out.f32()),
        inverse_(n_ * kBlock, context.blocks),
        later_(params.inverse ? n_ * kBlock : 0, context.blocks),
        square_(kBlock * kBlock),
        square_inverse_(kBlock * kBlock),
        mean_diagonal_(MeanDiagonal()) {}

  // False when H is not positive definite in float32.
  bool Factor(double damping) {
    LoadUpper(damping * mean_diagonal_);
    for (std::int64_t first = LastBlock(); first >= 0; first -= kBlock) {
      const std::int64_t size = std::min(kBlock, n_ - first);
      if (!FactorDiagonal(first, size)) return false;
      if (first == 0) break;
      const Operand column = {.data = out_ + first, .stride = n_};  // A_IJ, then R_IJ
      Product(column, {.data = Inverse(first), .stride = size}, first, size, size, out_ + first,
              Update::kStore);
      Product(column, column, first, first, size, out_, Update::kSubtract, true);
    }
    return true;
  }

  // Turns R into R⁻¹.
  void Invert() {
    for (std::int64_t first = 0; first < n_; first += kBlock) {
      const std::int64_t size = std::min(kBlock, n_ - first);
      // U_IJ for the rows above, from S_IJ, and U_JJ.
      Product({.data = out_ + first, .stride = n_},
              {.data = Inverse(first), .stride = size, .depth_contiguous = false}, first, size,
              size, out_ + first, Update::kStore);
      for (std::int64_t i = 0; i < size; ++i) {
        std::copy_n(Inverse(first) + i * size, size, out_ + (first + i) * n_ + first);
      }
      SubtractFromLater(first, size);
    }
  }

 private:
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

  bool IsDead(std::int64_t i) const { return !(matrix_[i * n_ + i] > 0); }
  std::int64_t LastBlock() const { return (n_ - 1) / kBlock * kBlock; }
  // R_JJ⁻¹ of the block that begins at `first`, [size, size] float32.
  float* Inverse(std::int64_t first) { return inverse_.data() + first * kBlock; }

  void Product(const Operand& a, const Operand& b, std::int64_t rows, std::int64_t columns,
               std::int64_t depth, float* out, Update update, bool upper = false) {
    Multiply(context_, context_.kernels.linear.float32,
             {a, b, rows, columns, depth, out, n_, update, upper});
  }

  void LoadUpper(double added) {
    // Of dead channels: as good as nothing beside the others, and never zero.
    const double least = std::max(added, kLeastDamping * mean_diagonal_);
    const auto dead_diagonal = static_cast<float>(least > 0 ? least : 1);
    std::vector<std::int64_t> dead;
    for (std::int64_t i = 0; i < n_; ++i) {
      if (IsDead(i)) dead.push_back(i);
    }
    ForEachRow(context_, n_, kRowsOfTask, [&](std::int64_t i) {
      const float* from = matrix_ + i * n_;
      float* row = out_ + i * n_;
      std::fill(row, row + i, 0.0f);
      std::copy(from + i, from + n_, row + i);
      for (const std::int64_t j : dead) row[j] = 0;
      row[i] = static_cast<float>(from[i] + added);
      if (!IsDead(i)) return;
      std::fill(row + i, row + n_, 0.0f);
      row[i] = dead_diagonal;
    });
  }

  bool FactorDiagonal(std::int64_t first, std::int64_t size) {
    double* square = square_.data();
    float* corner = out_ + first * n_ + first;
    for (std::int64_t i = 0; i < size; ++i) {
      std::copy(corner + i * n_, corner + i * n_ + size, square + i * size);
    }
    const LinearKernels& kernels = context_.kernels.linear;
    if (!kernels.reverse_cholesky(square, size)) return false;
    kernels.invert_upper(square, size, square_inverse_.data());
    for (std::int64_t i = 0; i < size; ++i) {
      for (std::int64_t j = i; j < size; ++j) {
        corner[i * n_ + j] = static_cast<float>(square[i * size + j]);
      }
    }
    std::copy(square_inverse_.data(), square_inverse_.data() + size * size, Inverse(first));
    return true;
  }

  // S_IK −= U_IJ R_JK. Rows J of S take the place of R_JK, which therefore moves aside first.
  void SubtractFromLater(std::int64_t first, std::int64_t size) {
    const std::int64_t end = first + size;
    const std::int64_t later = n_ - end;
    if (later == 0) return;
    ForEachRow(context_, size, kRowsOfTask, [&](std::int64_t i) {
      float* row = out_ + (first + i) * n_ + end;
      std::copy_n(row, later, later_.data() + i * later);
      std::fill_n(row, later, 0.0f);
    });
    Product({.data = out_ + first, .stride = n_},
            {.data = later_.data(), .stride = later, .depth_contiguous = false}, end, later, size,
            out_ + end, Update::kSubtract);
  }

  const Context& context_;
  const std::int64_t n_;
  const float* const matrix_;
  float* const out_;
  Scratch<float> inverse_;  // R_JJ⁻¹ for each J
  Scratch<float> later_;    // [size, later]: R_JK
  Scratch<double> square_;
  Scratch<double> square_inverse_;
  const double mean_diagonal_;
};

}  // namespace

void Factorize(const Context& context, const FactorizeParams& params) {
  Factorization factorization(context, params);
  params.info.f64()[0] =
      FactorDamped(params, [&](double damping) { return factorization.Factor(damping); });
  if (params.inverse) factorization.Invert();
}

}  // namespace ballast::cpu
