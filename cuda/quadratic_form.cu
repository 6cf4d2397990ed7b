// A float32 product Δ M, a band of rows at a time so that it stays small, then float64 dot products
// of rows.
#include <algorithm>

#include "cuda/gemm.h"
#include "cuda/memory.h"
#include "cuda/operations.h"
#include "cuda/row_dot.cuh"

namespace ballast::cuda {

void QuadraticForm(const Context& context, const QuadraticFormParams& params) {
  constexpr std::int64_t kBand = 4096;
  const std::int64_t rows = params.delta.rows(), n = params.delta.cols();
  const View& other = params.other.empty() ? params.delta : params.other;
  const Scratch<float> product(context, std::min(kBand, rows) * n);
  for (std::int64_t first = 0; first < rows; first += kBand) {
    const std::int64_t band = std::min(kBand, rows - first);
    // The rows of a symmetric matrix serve as its columns.
    Multiply(
        context, "quadraticForm",
        {.a = {.data = params.delta.f32() + first * n, .stride = n},
         .b = {.data = params.matrix.bytes, .stride = n, .depth_contiguous = params.other.empty()},
         .rows = band,
         .columns = n,
         .depth = n,
         .out = product.data(),
         .stride = n});
    RowDot(context, "quadraticForm", product.data(), other.f32() + first * n, n, band, n,
           params.out.f64() + first);
  }
}

}  // namespace ballast::cuda
