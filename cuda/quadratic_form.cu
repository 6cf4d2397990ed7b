// A float32 product Δ M, a band of rows at a time so that it stays small, then float64 dot products
// of rows. Where both factors are the same, Δ M Δᵀ is the strips of columns of M on and above the
// diagonal: what lies above counts twice, which is little more than half of the product.
#include <algorithm>

#include "cuda/gemm.h"
#include "cuda/memory.h"
#include "cuda/operations.h"
#include "cuda/row_dot.cuh"

namespace ballast::cuda {
namespace {

constexpr std::int64_t kBand = 4096;

// Wide enough that the tiles of a band and a strip fill a large GPU.
std::int64_t StripOf(std::int64_t n) { return n >= 8192 ? 2048 : 1024; }

struct Strip {
  const float* above;  // [rows, columns] Δ M of the rows of M above the diagonal's square, or null
  const float* square;  // [rows, columns] of those in it
  const float* delta;   // Δ from the strip's first column on
  std::int64_t stride;  // of delta
  std::int64_t rows;
  std::int64_t columns;
  double* out;  // [rows], set by the first strip
};

__global__ void strip_dot_kernel(const Strip p) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kDotWarps + threadIdx.y;
  if (row >= p.rows) return;
  double sum = 0;
  for (std::int64_t j = threadIdx.x; j < p.columns; j += kWarp) {
    const std::int64_t at = row * p.columns + j;
    const double above = p.above == nullptr ? 0.0 : p.above[at];
    sum += (2 * above + p.square[at]) * p.delta[row * p.stride + j];
  }
  sum = warp_reduce(sum, Sum{});
  if (threadIdx.x == 0) p.out[row] = p.above == nullptr ? sum : p.out[row] + sum;
}

// One band of rows of Δ.
void AddStrips(const Context& context, const float* delta, const float* matrix, std::int64_t rows,
               std::int64_t n, Precision precision, double* out) {
  const std::int64_t strip = std::min(StripOf(n), n);
  const Scratch<float> above(context, rows * strip), square(context, rows * strip);
  for (std::int64_t first = 0; first < n; first += strip) {
    const std::int64_t columns = std::min(strip, n - first);
    // The rows of a symmetric matrix serve as its columns.
    const auto multiply = [&](std::int64_t begin, std::int64_t depth, float* product) {
      Multiply(context, "quadraticForm",
               {.a = {.data = delta + begin, .stride = n},
                .b = {.data = matrix + first * n + begin, .stride = n},
                .rows = rows,
                .columns = columns,
                .depth = depth,
                .out = product,
                .stride = columns,
                .precision = precision});
    };
    if (first > 0) multiply(0, first, above.data());
    multiply(first, columns, square.data());
    const auto blocks = static_cast<unsigned>(DivideUp(rows, kDotWarps));
    strip_dot_kernel<<<blocks, dim3(kWarp, kDotWarps), 0, context.stream>>>(
        {.above = first > 0 ? above.data() : nullptr,
         .square = square.data(),
         .delta = delta + first,
         .stride = n,
         .rows = rows,
         .columns = columns,
         .out = out});
    CheckLaunch("quadraticForm");
  }
}

}  // namespace

void QuadraticForm(const Context& context, const QuadraticFormParams& params) {
  const std::int64_t rows = params.delta.rows(), n = params.delta.cols();
  const bool symmetric = params.other.empty();
  const Scratch<float> product(context, symmetric ? 0 : std::min(kBand, rows) * n);
  for (std::int64_t first = 0; first < rows; first += kBand) {
    const std::int64_t band = std::min(kBand, rows - first);
    const float* delta = params.delta.f32() + first * n;
    double* out = params.out.f64() + first;
    if (symmetric) {
      AddStrips(context, delta, params.matrix.f32(), band, n, params.precision, out);
      continue;
    }
    Multiply(context, "quadraticForm",
             {.a = {.data = delta, .stride = n},
              .b = {.data = params.matrix.bytes, .stride = n, .depth_contiguous = false},
              .rows = band,
              .columns = n,
              .depth = n,
              .out = product.data(),
              .stride = n,
              .precision = params.precision});
    RowDot(context, "quadraticForm", product.data(), params.other.f32() + first * n, n, band, n,
           out);
  }
}

}  // namespace ballast::cuda
