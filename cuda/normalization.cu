// One block a row. Sums, the mean and the division are float64: rows with a few large channels (the
// ones that quantization cares about) would lose digits in float32. The row is read again from the
// cache for each pass.
#include "cuda/check.h"
#include "cuda/operations.h"
#include "cuda/reduce.cuh"
#include "cuda/row_moments.cuh"

namespace ballast::cuda {
namespace {

__global__ void layer_norm_kernel(const float* x, const float* weight, const float* bias,
                                  double eps, int n, float* out) {
  x += blockIdx.x * static_cast<std::int64_t>(n);
  out += blockIdx.x * static_cast<std::int64_t>(n);
  const auto [mean, inverse] = row_moments(x, n, eps);
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    auto value = static_cast<float>((x[i] - mean) * inverse);
    if (weight != nullptr) value *= weight[i];
    if (bias != nullptr) value += bias[i];
    out[i] = value;
  }
}

__global__ void rms_norm_kernel(const float* x, const float* weight, double eps,
                                float weight_offset, int n, float* out) {
  x += blockIdx.x * static_cast<std::int64_t>(n);
  out += blockIdx.x * static_cast<std::int64_t>(n);
  double squares = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    squares += static_cast<double>(x[i]) * x[i];
  }
  const double inverse = 1 / sqrt(block_reduce(squares, Sum{}, 0.0) / n + eps);
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    out[i] = static_cast<float>(x[i] * inverse) * (weight[i] + weight_offset);
  }
}

}  // namespace

void LayerNorm(const Context& context, const LayerNormParams& p) {
  const std::int64_t rows = p.x.rows(), n = p.x.cols();
  if (rows == 0 || n == 0) return;
  layer_norm_kernel<<<static_cast<unsigned>(rows), ThreadsForRow(n), 0, context.stream>>>(
      p.x.f32(), p.weight.f32(), p.bias.f32(), p.eps, static_cast<int>(n), p.out.f32());
  CheckLaunch("layerNorm");
}

void RmsNorm(const Context& context, const RmsNormParams& p) {
  const std::int64_t rows = p.x.rows(), n = p.x.cols();
  if (rows == 0 || n == 0) return;
  rms_norm_kernel<<<static_cast<unsigned>(rows), ThreadsForRow(n), 0, context.stream>>>(
      p.x.f32(), p.weight.f32(), p.eps, static_cast<float>(p.weight_offset), static_cast<int>(n),
      p.out.f32());
  CheckLaunch("rmsNorm");
}

}  // namespace ballast::cuda
