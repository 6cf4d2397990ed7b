// Reductions over a row or down the columns of a few rows. Their order is fixed by the sizes alone.
#include <math.h>

#include "native/cpu/kernels/row_parts.h"
#include "native/cpu/kernels/vector_math.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

// The largest value keeps every exponential at or below 1.
float LargestOf(const float* x, std::int64_t n) {
  Floats largest = Splat(-INFINITY);
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) largest = Max(Load<Floats>(x + i), largest);
  float top = Largest(largest);
  for (; i < n; ++i) top = x[i] > top ? x[i] : top;
  return top;
}

// Σ exp(x − top): float32 vectors of exponentials, summed in float64; use(i, count, vector) sees
// each.
template <class Use>
inline double SumExponentials(const float* x, std::int64_t n, float top, Use use) {
  Doubles low{}, high{};
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const std::int64_t count = n - i < kLanes ? n - i : kLanes;
    Floats v = Splat(-INFINITY);
    if (count == kLanes) {
      v = Load<Floats>(x + i);
    } else {
      memcpy(&v, x + i, static_cast<std::size_t>(count) * sizeof(float));
    }
    const Floats e = Exp(v - top);
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

void Softmax(float* x, std::int64_t n) {
  const double sum =
      SumExponentials(x, n, LargestOf(x, n), [x](std::int64_t i, std::int64_t count, Floats e) {
        if (count == kLanes) {
          Store(x + i, e);
        } else {
          StorePart(x + i, e, count);
        }
      });
  const auto factor = static_cast<float>(1 / sum);
  Map(x, n, x, [factor](Floats e) { return e * factor; });
}

template <int kRows>
inline void AddRowGroup(const float* x, std::int64_t n, double* sum) {
  constexpr int kHalf = kLanes / 2;
  std::int64_t c = 0;
  for (; c + kLanes <= n; c += kLanes) {
    Doubles low = Load<Doubles>(sum + c), high = Load<Doubles>(sum + c + kHalf);
    for (int row = 0; row < kRows; ++row) {
      const Floats v = Load<Floats>(x + row * n + c);
      low += Low(v);
      high += High(v);
    }
    Store(sum + c, low);
    Store(sum + c + kHalf, high);
  }
  for (; c < n; ++c) {
    for (int row = 0; row < kRows; ++row) sum[c] += static_cast<double>(x[row * n + c]);
  }
}

// Eight rows at a time: the sums then cost little next to the reading of x.
void AddRows(const float* x, std::int64_t rows, std::int64_t n, double* sum) {
  std::int64_t row = 0;
  for (; row + 8 <= rows; row += 8) AddRowGroup<8>(x + row * n, n, sum);
  for (; row < rows; ++row) AddRowGroup<1>(x + row * n, n, sum);
}

void Range(const float* x, std::int64_t n, float* low, float* high) {
  Floats least{}, largest{};
  std::int64_t i = 0;
  for (; i < n; i += kLanes) {
    const Floats v = i + kLanes <= n ? Load<Floats>(x + i) : LoadPart<Floats>(x + i, n - i);
    least = Min(v, least);
    largest = Max(v, largest);
  }
  *low = -Largest(-least);
  *high = Largest(largest);
}

}  // namespace

void AddReductionKernels(RowKernels& table) {
  table.softmax = Softmax;
  table.log_sum_exp = LogSumExp;
  table.add_rows = AddRows;
  table.range = Range;
}

}  // namespace ballast::cpu::BALLAST_ISA
