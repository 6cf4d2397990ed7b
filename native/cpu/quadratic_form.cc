// Float32 products, a band of rows at a time so that they stay small, then float64 dot products of
// rows. Where both sides are the same, symmetry halves the work: with columns in halves, and these
// in halves again,
//   Δ M Δᵀ = Δ_1 M_11 Δ_1ᵀ + 2 Δ_1 M_12 Δ_2ᵀ + Δ_2 M_22 Δ_2ᵀ
// so most of it is a few large products.
#include "native/cpu/quadratic_form.h"

#include <algorithm>
#include <atomic>
#include <bit>

#include "native/core/divide_up.h"
#include "native/cpu/bands.h"
#include "native/cpu/gemm.h"
#include "native/cpu/scratch.h"

namespace ballast::cpu {
namespace {

constexpr std::int64_t kWhole = 256;  // columns whose square is not worth a division
constexpr std::int64_t kUnit = 64;    // halves are whole panels of every kernel

struct Span {
  std::int64_t begin, end;

  std::int64_t size() const { return end - begin; }
};

std::int64_t FirstHalf(std::int64_t columns) { return RoundUp(DivideUp(columns, 2), kUnit); }

// Whether bfloat16 holds all numbers, as it does where they are a checkpoint's own.
bool FitsBFloat16(const Context& context, const View& view) {
  constexpr std::int64_t kNumbersOfTask = 65536;
  std::atomic<bool> fits = true;
  context.pool.ParallelFor(
      view.shape.elements(), kNumbersOfTask,
      [&](std::int64_t begin, std::int64_t end) {
        if (!fits) return;
        const bool each = std::all_of(view.f32() + begin, view.f32() + end, [](float x) {
          return (std::bit_cast<std::uint32_t>(x) & 0xffff) == 0;
        });
        if (!each) fits = false;
      },
      context.cancel);
  return fits;
}

const GemmKernels& GemmOf(const Context& context, const QuadraticFormParams& params) {
  const bool splits =
      context.float32_products == Float32Products::kSix && params.precision == Precision::kFloat32;
  return AlgebraGemmFor(context, params.precision, splits && FitsBFloat16(context, params.delta));
}

// Some rows of delta and other, and their product with M.
class Band {
 public:
  Band(const Context& context, const GemmKernels& gemm, const QuadraticFormParams& params,
       std::int64_t first, std::int64_t rows, float* product)
      : context_(context),
        gemm_(gemm),
        params_(params),
        first_(first),
        rows_(rows),
        product_(product) {}

  void Run() {
    std::fill(Out(0), Out(rows_), 0.0);
    if (!params_.other.empty()) {
      AddDots(params_.other, {0, n_}, {0, n_}, 1);
      return;
    }
    AddSquare({0, n_});
  }

 private:
  double* Out(std::int64_t row) const { return params_.out.f64() + first_ + row; }

  // out += Δ M Δᵀ over these columns alone.
  void AddSquare(Span columns) {
    if (columns.size() <= kWhole) return AddDots(params_.delta, columns, columns, 1);
    const std::int64_t middle = columns.begin + FirstHalf(columns.size());
    AddSquare({columns.begin, middle});
    AddDots(params_.delta, {columns.begin, middle}, {middle, columns.end}, 2);
    AddSquare({middle, columns.end});
  }

  // out += factor · (Δ over `depth` · M over `columns`) · (right over `columns`)
  void AddDots(const View& right, Span depth, Span columns, double factor) {
    const std::int64_t width = columns.size();
    const float* matrix = params_.matrix.f32() + depth.begin * n_ + columns.begin;
    Multiply(context_, gemm_,
             {.a = {.data = params_.delta.f32() + first_ * n_ + depth.begin, .stride = n_},
              .b = {.data = matrix, .stride = n_, .depth_contiguous = false},
              .rows = rows_,
              .columns = width,
              .depth = depth.size(),
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
  const GemmKernels& gemm_;
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
  const std::int64_t width = !params.other.empty() ? columns
                             : columns <= kWhole   ? columns
                                                   : std::max(FirstHalf(columns), kWhole);
  const std::int64_t band = BandRows(rows, width);
  Scratch<float> product(band * width, context.blocks);
  const GemmKernels& gemm = GemmOf(context, params);
  for (std::int64_t first = 0; first < rows; first += band) {
    Band(context, gemm, params, first, std::min(band, rows - first), product.data()).Run();
  }
}

}  // namespace ballast::cpu
