// Layer norm and RMS norm of one row. The mean, on which rows with a few large channels (the ones
// that quantization cares about) would lose digits in float32, is summed in float64. Squares are
// summed in float32 for a short stretch and in float64 from there: all of them are positive, so a
// stretch loses some units of the last place at most.
#include <math.h>

#include "native/cpu/kernels/row_parts.h"
#include "native/cpu/kernels/vector.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

constexpr int kChains = 4;  // sums at a time: an addition takes some cycles

// Loops over the chains are written out, so that sums stay in registers.
double SumOf(const float* x, std::int64_t n) {
  Doubles low[kChains], high[kChains];
#pragma GCC unroll 4
  for (int c = 0; c < kChains; ++c) low[c] = high[c] = Doubles{};
  std::int64_t i = 0;
  for (; i + kChains * kLanes <= n; i += kChains * kLanes) {
    FetchRowBehind(x + i, n, kChains * kLanes);
#pragma GCC unroll 4
    for (int c = 0; c < kChains; ++c) {
      low[c] += LoadDoubles(x + i + c * kLanes);
      high[c] += LoadDoubles(x + i + c * kLanes + kLanes / 2);
    }
  }
  for (; i + kLanes <= n; i += kLanes) {
    low[0] += LoadDoubles(x + i);
    high[0] += LoadDoubles(x + i + kLanes / 2);
  }
  Doubles sum = low[0] + high[0];
#pragma GCC unroll 4
  for (int c = 1; c < kChains; ++c) sum = sum + low[c] + high[c];
  double rest = 0;
  for (; i < n; ++i) rest += static_cast<double>(x[i]);
  return Sum(sum) + rest;
}

// A float64 as the sum of two float32, so that x − centre rounds once only.
struct Centre {
  explicit Centre(double value)
      : high(static_cast<float>(value)), low(static_cast<float>(value - high)) {}
  Floats operator()(Floats x) const { return (x - high) - low; }

  float high;
  float low;
};

// Σ f(x_i)²
template <class F>
double SumOfSquares(const float* x, std::int64_t n, F f) {
  constexpr std::int64_t kStretch = 8 * kChains * kLanes;
  Doubles low{}, high{};
  std::int64_t i = 0;
  while (n - i >= kChains * kLanes) {
    Floats sums[kChains] = {};
    const std::int64_t end = n - i < kStretch ? n : i + kStretch;
    for (; i + kChains * kLanes <= end; i += kChains * kLanes) {
      for (int c = 0; c < kChains; ++c) {
        const Floats v = f(Load<Floats>(x + i + c * kLanes));
        sums[c] = MultiplyAdd(v, v, sums[c]);
      }
    }
    const Floats sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    low += Low(sum);
    high += High(sum);
  }
  for (; i + kLanes <= n; i += kLanes) {
    const Floats v = f(Load<Floats>(x + i));
    low += Low(v * v);
    high += High(v * v);
  }
  double rest = 0;
  for (; i < n; ++i) {
    const float v = f(Splat(x[i]))[0];
    rest += static_cast<double>(v) * v;
  }
  return Sum(low + high) + rest;
}

void LayerNorm(const float* x, const float* weight, const float* bias, double eps, std::int64_t n,
               float* out) {
  const Centre centre(SumOf(x, n) / static_cast<double>(n));
  const double squares = SumOfSquares(x, n, centre);
  const auto inverse = static_cast<float>(1 / sqrt(squares / static_cast<double>(n) + eps));
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    FetchRowBehind<true>(out + i, n, kLanes);
    Floats y = centre(Load<Floats>(x + i)) * inverse;
    if (weight != nullptr) y = y * Load<Floats>(weight + i);
    if (bias != nullptr) y = y + Load<Floats>(bias + i);
    Store(out + i, y);
  }
  for (; i < n; ++i) {
    float y = centre(Splat(x[i]))[0] * inverse;
    if (weight != nullptr) y *= weight[i];
    if (bias != nullptr) y += bias[i];
    out[i] = y;
  }
}

void RmsNorm(const float* x, const float* weight, double eps, float weight_offset, std::int64_t n,
             float* out) {
  const double squares = SumOfSquares(x, n, [](Floats v) { return v; });
  const auto inverse = static_cast<float>(1 / sqrt(squares / static_cast<double>(n) + eps));
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    FetchRowBehind(x + i, n, kLanes);
    FetchRowBehind<true>(out + i, n, kLanes);
    Store(out + i, Load<Floats>(x + i) * inverse * (Load<Floats>(weight + i) + weight_offset));
  }
  for (; i < n; ++i) out[i] = x[i] * inverse * (weight[i] + weight_offset);
}

}  // namespace

void AddNormalizationKernels(RowKernels& table) {
  table.layer_norm = LayerNorm;
  table.rms_norm = RmsNorm;
}

}  // namespace ballast::cpu::BALLAST_ISA
