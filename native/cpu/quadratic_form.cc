// Float32 products, a band of rows at a time so that they stay small, then float64 dot products of
// rows. Where both sides are the same, symmetry halves the work: with columns in blocks J,
//   Δ M Δᵀ = Σ_J (2 Δ_<J M_<J,J + Δ_J M_JJ) Δ_Jᵀ
// so a block's product goes over the columns before it and its own only.
#include "native/cpu/quadratic_form.h"

#include <algorithm>

#include "native/cpu/gemm.h"
#include "native/cpu/scratch.h"

namespace ballast::cpu {
namespace {

constexpr std::int64_t kProductFloats = std::int64_t{1} << 20;  // of a band
// Wide enough for products to run at full speed; a block's own square is computed whole.
constexpr std::int64_t kBlock = 256;

// Some rows of delta and other, and their product with M.
class Band {
 public:
  Band(const Context& context, const QuadraticFormParams& params, std::int64_t first,
       std::int64_t rows, float* product)
      : context_(context), params_(params), first_(first), rows_(rows), product_(product) {}

  void Run() {
    std::fill(Out(0), Out(rows_), 0.0);
    if (!params_.other.empty()) {
      AddDots(params_.other, {0, n_}, {0, n_}, 1);
      return;
    }
    for (std::int64_t begin = 0; begin < n_; begin += kBlock) {
      const Span block = {begin, std::min(begin + kBlock, n_)};
      if (begin > 0) AddDots(params_.delta, {0, begin}, block, 2);
      AddDots(params_.delta, block, block, 1);
    }
  }

 private:
  struct Span {
    std::int64_t begin, end;
  };

  double* Out(std::int64_t row) const { return params_.out.f64() + first_ + row; }

  // out += factor · (Δ over `depth` · M over `columns`) · (right over `columns`)
  void AddDots(const View& right, Span depth, Span columns, double factor) {
    const std::int64_t width = columns.end - columns.begin;
    const float* matrix = params_.matrix.f32() + depth.begin * n_ + columns.begin;
    Multiply(context_, context_.kernels.linear.float32,
             {.a = {.data = params_.delta.f32() + first_ * n_ + depth.begin, .stride = n_},
              .b = {.data = matrix, .stride = n_, .depth_contiguous = false},
              .rows = rows_,
              .columns = width,
              .depth = depth.end - depth.begin,
              .out = product_,
              .stride = width});
    context_.pool.ParallelFor(
        rows_, 16,
        [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i) {
            const float* row = right.f32() + (first_ + i) * n_ + columns.begin;
            *Out(i) += factor * context_.kernels.linear.dot(product_ + i * width, row, width);
          }
        },
        context_.cancel);
  }

  const Context& context_;
  const QuadraticFormParams& params_;
  const std::int64_t n_ = params_.delta.cols();
  const std::int64_t first_;
  const std::int64_t rows_;
  float* const product_;
};

}  // namespace

void QuadraticForm(const Context& context, const QuadraticFormParams& params) {
  const std::int64_t rows = params.delta.rows();
  const std::int64_t columns = params.delta.cols();
  const std::int64_t width = params.other.empty() ? std::min(kBlock, columns) : columns;
  const std::int64_t band = std::min(std::max<std::int64_t>(kProductFloats / width, 64), rows);
  Scratch<float> product(band * width);
  for (std::int64_t first = 0; first < rows; first += band) {
    Band(context, params, first, std::min(band, rows - first), product.data()).Run();
  }
}

}  // namespace ballast::cpu
