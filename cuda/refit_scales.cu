// One float32 product u M for a band of rows, u = code − zero, then a block of threads a row: four
// float64 sums, which decide on the row's scale (native/cpu/refit_scales.cc has the mathematics).
#include <algorithm>

#include "cuda/gemm.h"
#include "cuda/grid_loop.cuh"
#include "cuda/memory.h"
#include "cuda/move_scale.cuh"
#include "cuda/numbers.cuh"
#include "cuda/operations.h"
#include "cuda/reduce.cuh"
#include "cuda/trace.h"

namespace ballast::cuda {
namespace {

constexpr std::int64_t kBand = 4096;

template <class T>
struct RefitBand {
  const T* weight;       // [band, n]
  const float* units;    // [band, n] u
  const float* product;  // [band, n] u M
  const double* trace;   // of M
  float* scales;         // [band]
  std::int64_t n;
  double damping;
  DType scale_dtype;
};

template <class T>
__global__ void refit_row_kernel(const RefitBand<T> p) {
  const std::int64_t first = blockIdx.x * p.n;
  float scale = p.scales[blockIdx.x];
  double slope = 0, curvature = 0, damped_slope = 0, damped_curvature = 0;
  for (std::int64_t j = threadIdx.x; j < p.n; j += blockDim.x) {
    const float unit = p.units[first + j];
    const double delta = convert<float>(p.weight[first + j]) - scale * unit;
    const double product = p.product[first + j];
    slope += product * delta;
    curvature += product * unit;
    damped_slope += unit * delta;
    damped_curvature += static_cast<double>(unit) * unit;
  }
  const double damping = p.damping * *p.trace / p.n;
  slope = block_reduce(slope, Sum{}, 0.0) + damping * block_reduce(damped_slope, Sum{}, 0.0);
  curvature =
      block_reduce(curvature, Sum{}, 0.0) + damping * block_reduce(damped_curvature, Sum{}, 0.0);
  double taken = 0;
  const float change = move_scale(p.scale_dtype, slope, curvature, scale, taken);
  if (threadIdx.x == 0 && change != 0) p.scales[blockIdx.x] = scale;
}

}  // namespace

void RefitScales(const Context& context, const RefitScalesParams& params) {
  const std::int64_t rows = params.weight.rows(), n = params.weight.cols();
  if (params.weight.shape.elements() == 0) return;
  const Scratch<float> units(context, std::min(kBand, rows) * n);
  const Scratch<float> product(context, std::min(kBand, rows) * n);
  const Scratch<double> trace(context, 1);
  Trace(context, "refitScales", params.matrix.f32(), n, trace.data());
  for (std::int64_t first = 0; first < rows; first += kBand) {
    const std::int64_t band = std::min(kBand, rows - first);
    const std::uint8_t* codes = params.codes.u8() + first * n;
    const float* zeros = params.zeros.f32() + first;
    float* u = units.data();
    ForEach(context, "refitScales", band * n,
            [=] __device__(std::int64_t i) { u[i] = static_cast<float>(codes[i]) - zeros[i / n]; });
    // The rows of a symmetric matrix serve as its columns.
    Multiply(context, "refitScales",
             {.a = {.data = units.data(), .stride = n},
              .b = {.data = params.matrix.bytes, .stride = n},
              .rows = band,
              .columns = n,
              .depth = n,
              .out = product.data(),
              .stride = n});
    WithWeightType(params.weight.dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      refit_row_kernel<T><<<static_cast<unsigned>(band), kThreads, 0, context.stream>>>(
          {.weight = params.weight.as<T>() + first * n,
           .units = units.data(),
           .product = product.data(),
           .trace = trace.data(),
           .scales = params.scales.f32() + first,
           .n = n,
           .damping = params.damping,
           .scale_dtype = params.scale_dtype});
      CheckLaunch("refitScales");
    });
  }
}

}  // namespace ballast::cuda
