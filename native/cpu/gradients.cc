// Plain loops in float64: they run once a calibration set, where a forward pass runs for every
// candidate.
#include "native/cpu/gradients.h"

#include <cmath>
#include <numbers>

#include "native/cpu/rows.h"

namespace ballast::cpu {
namespace {

// Elements of a task: each costs far more than elsewhere.
constexpr std::int64_t kTaskElements = 16384;

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// x·s(k·x) for a sigmoid s; SiLU has k = 1.
double SwishSlope(double x, double k) {
  const double s = Sigmoid(k * x);
  return s + k * x * s * (1 - s);
}

double GeluSlope(double x) {
  const double density = std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
  return 0.5 * std::erfc(-x / std::numbers::sqrt2) + x * density;
}

double GeluTanhSlope(double x) {
  const double k = std::sqrt(2 / std::numbers::pi);
  const double t = std::tanh(k * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * k * (1 + 3 * 0.044715 * x * x);
}

double Slope(Activation activation, double x) {
  switch (activation) {
    case Activation::kNone:
      return 1;
    case Activation::kRelu:
      return x > 0 ? 1 : 0;
    case Activation::kGelu:
      return GeluSlope(x);
    case Activation::kGeluTanh:
      return GeluTanhSlope(x);
    case Activation::kQuickGelu:
      return SwishSlope(x, 1.702);
    case Activation::kSilu:
      return SwishSlope(x, 1);
    case Activation::kSigmoid:
      return Sigmoid(x) * Sigmoid(-x);
    case Activation::kTanh:
      return 1 - std::tanh(x) * std::tanh(x);
  }
  return 1;
}

void LayerNormRow(const LayerNormGradientParams& p, std::int64_t row) {
  const std::int64_t n = p.x.cols();
  const float* x = p.x.f32() + row * n;
  const float* gradient = p.gradient.f32() + row * n;
  const float* weight = p.weight.f32();
  double mean = 0;
  for (std::int64_t j = 0; j < n; ++j) mean += x[j];
  mean /= static_cast<double>(n);
  double variance = 0;
  for (std::int64_t j = 0; j < n; ++j) variance += (x[j] - mean) * (x[j] - mean);
  const double r = 1 / std::sqrt(variance / static_cast<double>(n) + p.eps);
  const auto scaled = [&](std::int64_t j) {
    return weight == nullptr ? static_cast<double>(gradient[j])
                             : static_cast<double>(gradient[j]) * weight[j];
  };
  double sum = 0;
  double along = 0;
  for (std::int64_t j = 0; j < n; ++j) {
    sum += scaled(j);
    along += scaled(j) * (x[j] - mean) * r;
  }
  sum /= static_cast<double>(n);
  along /= static_cast<double>(n);
  float* out = p.out.f32() + row * n;
  for (std::int64_t j = 0; j < n; ++j) {
    out[j] = static_cast<float>(r * (scaled(j) - sum - (x[j] - mean) * r * along));
  }
}

}  // namespace

void LayerNormGradient(const Context& context, const LayerNormGradientParams& p) {
  ForEachRow(context, p.x.rows(), RowsOfTask(p.x.cols(), kTaskElements),
             [&](std::int64_t row) { LayerNormRow(p, row); });
}

void ActivationGradient(const Context& context, const ActivationGradientParams& p) {
  context.pool.ParallelFor(
      p.x.shape.elements(), kTaskElements,
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          p.out.f32()[i] =
              static_cast<float>(p.gradient.f32()[i] * Slope(p.activation, p.x.f32()[i]));
        }
      },
      context.cancel);
}

}  // namespace ballast::cpu
