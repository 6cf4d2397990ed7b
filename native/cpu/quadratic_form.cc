// A float32 product Δ M, a band of rows at a time so that it stays small, then float64 dot products
// of rows.
#include "native/cpu/quadratic_form.h"

#include <algorithm>

#include "native/cpu/gemm.h"
#include "native/cpu/scratch.h"

namespace ballast::cpu {

void QuadraticForm(const Context& context, const QuadraticFormParams& params) {
  constexpr std::int64_t kBand = 512;
  const std::int64_t rows = params.delta.rows();
  const std::int64_t n = params.delta.cols();
  const View& other = params.other.empty() ? params.delta : params.other;
  Scratch<float> product(std::min(rows, kBand) * n);
  for (std::int64_t first = 0; first < rows; first += kBand) {
    const std::int64_t band = std::min(kBand, rows - first);
    Multiply(context, context.kernels.linear.float32,
             {.a = {.data = params.delta.f32() + first * n, .stride = n},
              .b = {.data = params.matrix.bytes, .stride = n, .depth_contiguous = false},
              .rows = band,
              .columns = n,
              .depth = n,
              .out = product.data(),
              .stride = n});
    context.pool.ParallelFor(
        band, 16,
        [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i) {
            params.out.f64()[first + i] = context.kernels.linear.dot(
                product.data() + i * n, other.f32() + (first + i) * n, n);
          }
        },
        context.cancel);
  }
}

}  // namespace ballast::cpu
