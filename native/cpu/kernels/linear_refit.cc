// Refits of scales whose groups are larger than a block of coordinate descent, a column at a time
// and its rows side by side.
#include "native/cpu/kernels/linear_parts.h"
#include "native/cpu/kernels/vector.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

void Fetch(const RefitColumn& p, std::int64_t i) {
  __builtin_prefetch(p.product + i + p.ahead);
  __builtin_prefetch(p.residual + i + p.ahead, 1);
}

Floats Units(const RefitColumn& p, std::int64_t i) {
  const Ints codes = __builtin_convertvector(Load<Bytes>(p.codes + i), Ints);
  return __builtin_convertvector(codes, Floats) - Load<Floats>(p.zeros + i);
}

// u M.
Floats Projection(const RefitColumn& p, std::int64_t i) {
  const Floats product = Load<Floats>(p.product + i);
  if (p.inverse == nullptr) return product;
  return (product - Load<Floats>(p.residual + i)) * Load<Floats>(p.inverse + i);
}

void Add(double* sums, Floats a, Floats b) {
  Store(sums, Load<Doubles>(sums) + Low(a) * Low(b));
  Store(sums + kLanes / 2, Load<Doubles>(sums + kLanes / 2) + High(a) * High(b));
}

}  // namespace

void SumRefit(const RefitColumn& p, double* slope, double* curvature) {
  for (std::int64_t i = 0; i < p.rows; i += kLanes) {
    Fetch(p, i);
    const Floats units = Units(p, i);
    Add(slope + i, units, Load<Floats>(p.residual + i));
    Add(curvature + i, units, Projection(p, i));
  }
}

void ApplyRefit(const RefitColumn& p, const float* change) {
  for (std::int64_t i = 0; i < p.rows; i += kLanes) {
    Fetch(p, i);
    if (p.codes != nullptr) __builtin_prefetch(p.delta + i + p.ahead, 1);
    const Floats shift = Load<Floats>(change + i);
    Store(p.residual + i, Load<Floats>(p.residual + i) - shift * Projection(p, i));
    if (p.codes == nullptr) continue;
    Store(p.delta + i, Load<Floats>(p.delta + i) - shift * Units(p, i));
  }
}

}  // namespace ballast::cpu::BALLAST_ISA
