// Sums, the mean and the division are float64: rows with a few large channels (the ones that
// quantization cares about) would lose digits in float32. The row is read again from the cache for
// each pass.
#include "cuda/check.h"
#include "cuda/operations.h"
#include "cuda/row_moments.cuh"

namespace ballast::cuda {
namespace {

struct NormArguments {
  const float* x;
  const float* weight;  // or null
  const float* bias;    // or null
  std::int64_t rows;
  int n;
  double eps;
  float weight_offset;
};

// f(x_i) times the weight, plus the bias.
template <class Shape, class T, class F>
__device__ __forceinline__ void write_row(const NormArguments& p, const float* x, T* out, F f) {
  constexpr int kWidth = Shape::kWidth;
  for (int i = threadIdx.x; i < p.n / kWidth; i += blockDim.x) {
    const auto in = load_floats<kWidth>(x, i);
    Floats<kWidth> weight, bias, result;
    if (p.weight != nullptr) weight = load_floats<kWidth>(p.weight, i);
    if (p.bias != nullptr) bias = load_floats<kWidth>(p.bias, i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      float value = f(in.of[j]);
      if (p.weight != nullptr) value *= weight.of[j] + p.weight_offset;
      if (p.bias != nullptr) value += bias.of[j];
      result.of[j] = value;
    }
    store_floats(out, i, result);
  }
}

template <class Shape, class T>
__global__ void layer_norm_kernel(const NormArguments p, T* out) {
  const std::int64_t row = own_row();
  if (row >= p.rows) return;
  const float* x = p.x + row * p.n;
  const auto [mean, inverse] = row_moments<Shape>(x, p.n, p.eps);
  write_row<Shape>(p, x, out + row * p.n, [mean = mean, inverse = inverse](double value) {
    return static_cast<float>((value - mean) * inverse);
  });
}

template <class Shape, class T>
__global__ void rms_norm_kernel(const NormArguments p, T* out) {
  const std::int64_t row = own_row();
  if (row >= p.rows) return;
  const float* x = p.x + row * p.n;
  const double squares = row_sum<Shape>(x, p.n, [](double value) { return value * value; });
  const double inverse = 1 / sqrt(squares / p.n + p.eps);
  write_row<Shape>(p, x, out + row * p.n,
                   [inverse](double value) { return static_cast<float>(value * inverse); });
}

// Calls launch(shape, out, blocks, threads).
template <class F>
void Launch(const NormArguments& p, const View& result, F launch) {
  if (p.rows == 0 || p.n == 0) return;
  WithOperandType(result.dtype, [&](auto type) {
    auto* const out = result.as<typename decltype(type)::type>();
    const bool wide = p.n % kWide == 0 && AreAligned(p.x, p.weight, p.bias, out);
    WithRowShape(p.rows, p.n, wide, [&](auto shape, unsigned blocks, dim3 threads) {
      launch(shape, out, blocks, threads);
    });
  });
}

}  // namespace

void LayerNorm(const Context& context, const LayerNormParams& params) {
  const NormArguments p = {.x = params.x.f32(),
                           .weight = params.weight.f32(),
                           .bias = params.bias.f32(),
                           .rows = params.x.rows(),
                           .n = static_cast<int>(params.x.cols()),
                           .eps = params.eps,
                           .weight_offset = 0};
  Launch(p, params.out, [&](auto shape, auto* out, unsigned blocks, dim3 threads) {
    using Shape = decltype(shape);
    layer_norm_kernel<Shape><<<blocks, threads, 0, context.stream>>>(p, out);
    CheckLaunch("layerNorm");
  });
}

void RmsNorm(const Context& context, const RmsNormParams& params) {
  const NormArguments p = {.x = params.x.f32(),
                           .weight = params.weight.f32(),
                           .bias = nullptr,
                           .rows = params.x.rows(),
                           .n = static_cast<int>(params.x.cols()),
                           .eps = params.eps,
                           .weight_offset = static_cast<float>(params.weight_offset)};
  Launch(p, params.out, [&](auto shape, auto* out, unsigned blocks, dim3 threads) {
    using Shape = decltype(shape);
    rms_norm_kernel<Shape><<<blocks, threads, 0, context.stream>>>(p, out);
    CheckLaunch("rmsNorm");
  });
}

}  // namespace ballast::cuda
