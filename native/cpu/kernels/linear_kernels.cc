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
      .dot_double = DotDouble,
      .quantize_columns = QuantizeColumns,
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
