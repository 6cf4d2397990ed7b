// Reductions over a row or down the columns of a few rows. Their order is fixed by the sizes alone.
#include <math.h>

#include "native/cpu/kernels/float_formats.h"
#include "native/cpu/kernels/row_parts.h"
#include "native/cpu/kernels/vector_math.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

constexpr int kChains = 4;  // of an operation that takes some cycles

// The largest value keeps every exponential at or below 1.
float LargestOf(const float* x, std::int64_t n) {
  Floats largest[kChains];
  for (Floats& chain : largest) chain = Splat(-INFINITY);
  std::int64_t i = 0;
  for (; i + kChains * kLanes <= n; i += kChains * kLanes) {
    for (int c = 0; c < kChains; ++c) {
      largest[c] = Max(Load<Floats>(x + i + c * kLanes), largest[c]);
    }
  }
  for (; i + kLanes <= n; i += kLanes) largest[0] = Max(Load<Floats>(x + i), largest[0]);
  float top = Largest(Max(Max(largest[0], largest[1]), Max(largest[2], largest[3])));
  for (; i < n; ++i) top = x[i] > top ? x[i] : top;
  return top;
}

// Σ exp(x − top); use(i, count, exponentials) sees each vector. They are summed in float32 for a
// short stretch and in float64 from there: all are positive, so a stretch loses some units of the
// last place at most.
template <class Use>
inline double SumExponentials(const float* x, std::int64_t n, float top, Use use) {
  constexpr std::int64_t kStep = kChains * kLanes, kStretch = 8 * kStep;
  Doubles low{}, high{};
  std::int64_t i = 0;
  while (n - i >= kStep) {
    Floats sums[kChains] = {};
    const std::int64_t end = n - i < kStretch ? n : i + kStretch;
    for (; i + kStep <= end; i += kStep) {
      FetchRowBehind(x + i, n, kStep);
#pragma GCC unroll 4
      for (int c = 0; c < kChains; ++c) {
        const Floats e = ExpOfNonPositive(Load<Floats>(x + i + c * kLanes) - top);
        use(i + c * kLanes, kLanes, e);
        sums[c] += e;
      }
    }
    const Floats sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    low += Low(sum);
    high += High(sum);
  }
  for (; i < n; i += kLanes) {
    const std::int64_t count = n - i < kLanes ? n - i : kLanes;
    Floats v = Splat(-INFINITY);
    memcpy(&v, x + i, static_cast<std::size_t>(count) * sizeof(float));
    const Floats e = ExpOfNonPositive(v - top);
    use(i, count, e);
    low += Low(e);
    high += High(e);
  }
  return Sum(low + high);
}

double LogSumExp(const float* x, std::int64_t n) {
  const float top = LargestOf(x, n);
  const double sum = SumExponentials(x, n, top, [](std::int64_t, std::int64_t, Floats) {});
  return static_cast<double>(top) + log(sum);
}

void Softmax(const float* x, std::int64_t n, const float* sink, float* out) {
  const float largest = LargestOf(x, n);
  const float top = sink != nullptr && *sink > largest ? *sink : largest;
  double sum = SumExponentials(x, n, top, [out](std::int64_t i, std::int64_t count, Floats e) {
    if (count == kLanes) {
      Store(out + i, e);
    } else {
      StorePart(out + i, e, count);
    }
  });
  if (sink != nullptr) sum += exp(static_cast<double>(*sink) - top);
  const auto factor = static_cast<float>(1 / sum);
  Map(out, n, out, [factor](Floats e) { return e * factor; });
}

inline Floats Numbers(const float* x) { return Load<Floats>(x); }
inline Floats Numbers(const std::uint16_t* x) { return FromBfloat(Load<Shorts>(x)); }
inline double Number(const float* x) { return *x; }
inline double Number(const std::uint16_t* x) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(*x) << 16);
}

template <int kRows, class T>
inline void AddRowGroup(const T* x, std::int64_t n, double* sum) {
  constexpr int kHalf = kLanes / 2;
  std::int64_t c = 0;
  for (; c + kLanes <= n; c += kLanes) {
    Doubles low = Load<Doubles>(sum + c), high = Load<Doubles>(sum + c + kHalf);
    for (int row = 0; row < kRows; ++row) {
      const Floats v = Numbers(x + row * n + c);
      low += Low(v);
      high += High(v);
    }
    Store(sum + c, low);
    Store(sum + c + kHalf, high);
  }
  for (; c < n; ++c) {
    for (int row = 0; row < kRows; ++row) sum[c] += Number(x + row * n + c);
  }
}

// Eight rows at a time: the sums then cost little next to the reading of x.
template <class T>
void AddRows(const T* x, std::int64_t rows, std::int64_t n, double* sum) {
  std::int64_t row = 0;
  for (; row + 8 <= rows; row += 8) AddRowGroup<8>(x + row * n, n, sum);
  for (; row < rows; ++row) AddRowGroup<1>(x + row * n, n, sum);
}

void Range(const float* x, std::int64_t n, float* low, float* high) {
  Floats least[kChains] = {}, largest[kChains] = {};
  const auto take = [&](Floats v, int chain) {
    least[chain] = Min(v, least[chain]);
    largest[chain] = Max(v, largest[chain]);
  };
  std::int64_t i = 0;
  for (; i + kChains * kLanes <= n; i += kChains * kLanes) {
    for (int c = 0; c < kChains; ++c) take(Load<Floats>(x + i + c * kLanes), c);
  }
  for (; i + kLanes <= n; i += kLanes) take(Load<Floats>(x + i), 0);
  if (i < n) take(LoadPart<Floats>(x + i, n - i), 0);
  *low = -Largest(-Min(Min(least[0], least[1]), Min(least[2], least[3])));
  *high = Largest(Max(Max(largest[0], largest[1]), Max(largest[2], largest[3])));
}

}  // namespace

void AddReductionKernels(RowKernels& table) {
  table.softmax = Softmax;
  table.log_sum_exp = LogSumExp;
  table.add_rows = AddRows<float>;
  table.add_bfloat16_rows = AddRows<std::uint16_t>;
  table.range = Range;
}

}  // namespace ballast::cpu::BALLAST_ISA
