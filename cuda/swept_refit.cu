// A stretch of columns of v = u R at a time, of which a warp a row keeps float64 sums (native/cpu/
// swept_refit.cc has the mathematics).
#include <algorithm>

#include "cuda/gemm.h"
#include "cuda/grid_loop.cuh"
#include "cuda/memory.h"
#include "cuda/move_scale.cuh"
#include "cuda/operations.h"
#include "cuda/reduce.cuh"

namespace ballast::cuda {
namespace {

constexpr std::int64_t kBand = 4096;
constexpr std::int64_t kColumns = 1024;

struct Stretch {
  const float* product;  // [band, columns] v
  const float* errors;   // [band, n], from the stretch's first column on
  double* sums;          // [band, 2]: v·e, v·v
  std::int64_t n;
  std::int64_t columns;
  bool first;
};

__global__ void add_sums_kernel(const Stretch p) {
  const std::int64_t row = blockIdx.x;
  double slope = 0, curvature = 0;
  for (std::int64_t j = threadIdx.x; j < p.columns; j += blockDim.x) {
    const double v = p.product[row * p.columns + j];
    slope += v * p.errors[row * p.n + j];
    curvature += v * v;
  }
  slope = warp_reduce(slope, Sum{});
  curvature = warp_reduce(curvature, Sum{});
  if (threadIdx.x != 0) return;
  double* sums = p.sums + 2 * row;
  sums[0] = slope + (p.first ? 0.0 : sums[0]);
  sums[1] = curvature + (p.first ? 0.0 : sums[1]);
}

}  // namespace

void RefitSwept(const Context& context, const RefitSweptParams& params) {
  const std::int64_t rows = params.codes.rows(), n = params.codes.cols();
  if (rows == 0 || n == 0) return;
  const std::int64_t most = std::min(kBand, rows), widest = std::min(kColumns, n);
  const Scratch<float> units(context, most * n), product(context, most * widest);
  const Scratch<double> sums(context, 2 * most);
  for (std::int64_t first = 0; first < rows; first += kBand) {
    context.ThrowIfCancelled();
    const std::int64_t band = std::min(kBand, rows - first);
    const std::uint8_t* codes = params.codes.u8() + first * n;
    const float* zeros = params.zeros.f32() + first;
    float* u = units.data();
    ForEach(context, "refitSwept", band * n,
            [=] __device__(std::int64_t i) { u[i] = static_cast<float>(codes[i]) - zeros[i / n]; });
    for (std::int64_t begin = 0; begin < n; begin += kColumns) {
      const std::int64_t columns = std::min(kColumns, n - begin);
      Multiply(context, "refitSwept",
               {.a = {.data = u, .stride = n},
                .b = {.data = params.factor.f32() + begin, .stride = n, .depth_contiguous = false},
                .rows = band,
                .columns = columns,
                .depth = begin + columns,
                .out = product.data(),
                .stride = columns,
                .precision = Precision::kBFloat16});
      add_sums_kernel<<<static_cast<unsigned>(band), kWarp, 0, context.stream>>>(
          {.product = product.data(),
           .errors = params.errors.f32() + first * n + begin,
           .sums = sums.data(),
           .n = n,
           .columns = columns,
           .first = begin == 0});
      CheckLaunch("refitSwept");
    }
    const double* found = sums.data();
    float* scales = params.scales.f32() + first;
    const DType dtype = params.scale_dtype;
    ForEach(context, "refitSwept", band, [=] __device__(std::int64_t i) {
      double taken = 0;
      move_scale(dtype, found[2 * i], found[2 * i + 1], scales[i], taken);
    });
  }
}

}  // namespace ballast::cuda
