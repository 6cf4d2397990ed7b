// The small inner loops of linear algebra, and the table of all of it.
#include "native/cpu/kernels/linear_kernels.h"

#include "native/cpu/kernels/linear_parts.h"
#include "native/cpu/kernels/vector.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

double Dot(const float* a, const float* b, std::int64_t n) {
  Doubles low{}, high{};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Floats x = Load<Floats>(a + i);
    const Floats y = Load<Floats>(b + i);
    low += Low(x) * Low(y);
    high += High(x) * High(y);
  }
  double sum = Sum(low + high);
  for (; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

// Products are summed in float32 for 8 vectors, two sums of each at a time, and the sums in
// float64.
void DotPair(const float* x, const float* a, const float* b, std::int64_t n, double* sums) {
  constexpr int kChains = 2;
  constexpr std::int64_t kStep = kChains * kLanes;
  constexpr std::int64_t kStretch = 8 * kStep;
  Doubles with_a{}, with_b{};
  std::int64_t i = 0;
  while (i + kStep <= n) {
    const std::int64_t end = n - i < kStretch ? n : i + kStretch;
    Floats sum_a[kChains] = {}, sum_b[kChains] = {};
    for (; i + kStep <= end; i += kStep) {
      for (int c = 0; c < kChains; ++c) {
        const Floats factor = Load<Floats>(x + i + c * kLanes);
        sum_a[c] = MultiplyAdd(factor, Load<Floats>(a + i + c * kLanes), sum_a[c]);
        sum_b[c] = MultiplyAdd(factor, Load<Floats>(b + i + c * kLanes), sum_b[c]);
      }
    }
    for (int c = 0; c < kChains; ++c) {
      with_a += Low(sum_a[c]) + High(sum_a[c]);
      with_b += Low(sum_b[c]) + High(sum_b[c]);
    }
  }
  sums[0] = Sum(with_a);
  sums[1] = Sum(with_b);
  for (; i < n; ++i) {
    sums[0] += static_cast<double>(x[i]) * a[i];
    sums[1] += static_cast<double>(x[i]) * b[i];
  }
}

double DotDouble(const float* a, const double* b, std::int64_t n) {
  Doubles low{}, high{};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Floats x = Load<Floats>(a + i);
    low += Low(x) * Load<Doubles>(b + i);
    high += High(x) * Load<Doubles>(b + i + kLanes / 2);
  }
  double sum = Sum(low + high);
  for (; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

}  // namespace

LinearKernels MakeLinearKernels() {
  return {
      .lanes = kLanes,
      .sweep_rows = kSweepRows,
      .float32 = MakeFloat32Kernels(),
      .bfloat16 = {.rounded = MakeRoundedKernels()},
      .dot = Dot,
      .dot_pair = DotPair,
      .dot_double = DotDouble,
      .quantize_columns = QuantizeColumns,
      .answer_columns = AnswerColumns,
      .turn_rows = TurnRows,
      .turn_columns = TurnColumns,
      .turn_codes = TurnCodes,
      .project_columns = ProjectColumns,
      .shift_columns = ShiftColumns,
      .sum_refit = SumRefit,
      .apply_refit = ApplyRefit,
      .descend_columns = DescendColumns,
      .reverse_cholesky = ReverseCholesky,
      .invert_upper = InvertUpper,
  };
}

}  // namespace ballast::cpu::BALLAST_ISA
