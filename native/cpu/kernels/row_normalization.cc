// Layer norm and RMS norm of one row. Sums, the mean and the division are float64: rows with a few
// large channels (the ones that quantization cares about) would lose digits in float32.
#include <math.h>

#include "native/cpu/kernels/row_parts.h"
#include "native/cpu/kernels/vector.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

// Σ f(x_i), f on vectors and on scalars alike.
template <class F>
inline double SumOf(const float* x, std::int64_t n, F f) {
  Doubles low{}, high{};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    low += f(LoadDoubles(x + i));
    high += f(LoadDoubles(x + i + kLanes / 2));
  }
  double rest = 0;
  for (; i < n; ++i) rest += f(static_cast<double>(x[i]));
  return Sum(low + high) + rest;
}

void LayerNorm(const float* x, const float* weight, const float* bias, double eps, std::int64_t n,
               float* out) {
  const double mean = SumOf(x, n, [](auto v) { return v; }) / static_cast<double>(n);
  const double squares = SumOf(x, n, [mean](auto v) { return (v - mean) * (v - mean); });
  const double inverse = 1 / sqrt(squares / static_cast<double>(n) + eps);
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    Floats y = Join((LoadDoubles(x + i) - mean) * inverse,
                    (LoadDoubles(x + i + kLanes / 2) - mean) * inverse);
    if (weight != nullptr) y = y * Load<Floats>(weight + i);
    if (bias != nullptr) y = y + Load<Floats>(bias + i);
    Store(out + i, y);
  }
  for (; i < n; ++i) {
    float y = static_cast<float>((x[i] - mean) * inverse);
    if (weight != nullptr) y *= weight[i];
    if (bias != nullptr) y += bias[i];
    out[i] = y;
  }
}

void RmsNorm(const float* x, const float* weight, double eps, float weight_offset, std::int64_t n,
             float* out) {
  const double squares = SumOf(x, n, [](auto v) { return v * v; });
  const double inverse = 1 / sqrt(squares / static_cast<double>(n) + eps);
  Map(x, weight, n, out, [=](Floats v, Floats w) {
    return Join(Low(v) * inverse, High(v) * inverse) * (w + weight_offset);
  });
}

}  // namespace

void AddNormalizationKernels(RowKernels& table) {
  table.layer_norm = LayerNorm;
  table.rms_norm = RmsNorm;
}

}  // namespace ballast::cpu::BALLAST_ISA
