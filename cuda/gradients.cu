// In float64 as on the CPU: gradients run once a calibration set, where a forward pass runs for
// every candidate. Layer norm: one block a row, read again from the cache for each pass.
#include "cuda/check.h"
#include "cuda/grid_loop.cuh"
#include "cuda/operations.h"
#include "cuda/reduce.cuh"
#include "cuda/row_moments.cuh"

namespace ballast::cuda {
namespace {

__device__ __forceinline__ double sigmoid(double x) { return 1 / (1 + exp(-x)); }

// x·s(k·x) for a sigmoid s; SiLU has k = 1.
__device__ __forceinline__ double swish_slope(double x, double k) {
  const double s = sigmoid(k * x);
  return s + k * x * s * (1 - s);
}

__device__ __forceinline__ double gelu_slope(double x) {
  constexpr double kInverseRootOfTwo = 0.70710678118654752;
  constexpr double kInverseRootOfTwoPi = 0.39894228040143268;
  return 0.5 * erfc(-x * kInverseRootOfTwo) + x * exp(-x * x / 2) * kInverseRootOfTwoPi;
}

__device__ __forceinline__ double gelu_tanh_slope(double x) {
  constexpr double kRootOfTwoOverPi = 0.79788456080286536;
  const double t = tanh(kRootOfTwoOverPi * (x + 0.044715 * x * x * x));
  const double inner = kRootOfTwoOverPi * (1 + 3 * 0.044715 * x * x);
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner;
}

__device__ double slope_of(Activation kind, double x) {
  switch (kind) {
    case Activation::kRelu:
      return x > 0 ? 1 : 0;
    case Activation::kGelu:
      return gelu_slope(x);
    case Activation::kGeluTanh:
      return gelu_tanh_slope(x);
    case Activation::kQuickGelu:
      return swish_slope(x, 1.702);
    case Activation::kSilu:
      return swish_slope(x, 1);
    case Activation::kSigmoid:
      return 1 / (1 + exp(-x)) * (1 / (1 + exp(x)));
    case Activation::kTanh:
      return 1 - tanh(x) * tanh(x);
    default:
      return 1;
  }
}

__global__ void layer_norm_gradient_kernel(const float* x, const float* weight,
                                           const float* gradient, double eps, int n, float* out) {
  const std::int64_t first = blockIdx.x * static_cast<std::int64_t>(n);
  x += first;
  gradient += first;
  out += first;
  const RowMoments moments = row_moments<BlockRow>(x, n, eps);
  const double mean = moments.mean, r = moments.inverse;
  const auto scaled = [=](int i) {
    return weight == nullptr ? gradient[i] : static_cast<double>(gradient[i]) * weight[i];
  };
  double scaled_sum = 0;
  double along = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    scaled_sum += scaled(i);
    along += scaled(i) * (x[i] - mean) * r;
  }
  const double scaled_mean = block_reduce(scaled_sum, Sum{}, 0.0) / n;
  const double along_mean = block_reduce(along, Sum{}, 0.0) / n;
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    out[i] = static_cast<float>(r * (scaled(i) - scaled_mean - (x[i] - mean) * r * along_mean));
  }
}

}  // namespace

void LayerNormGradient(const Context& context, const LayerNormGradientParams& p) {
  const std::int64_t rows = p.x.rows(), n = p.x.cols();
  if (rows == 0 || n == 0) return;
  layer_norm_gradient_kernel<<<static_cast<unsigned>(rows), ThreadsForRow(n), 0, context.stream>>>(
      p.x.f32(), p.weight.f32(), p.gradient.f32(), p.eps, static_cast<int>(n), p.out.f32());
  CheckLaunch("layerNormGradient");
}

void ActivationGradient(const Context& context, const ActivationGradientParams& p) {
  const float *x = p.x.f32(), *gradient = p.gradient.f32();
  float* out = p.out.f32();
  const Activation kind = p.activation;
  ForEach(context, "activationGradient", p.x.shape.elements(), [=] __device__(std::int64_t i) {
    out[i] = static_cast<float>(gradient[i] * slope_of(kind, x[i]));
  });
}

}  // namespace ballast::cuda
