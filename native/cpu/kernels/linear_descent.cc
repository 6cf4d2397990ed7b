// A block of coordinate descent, as many rows at once as a vector has lanes: each column's best
// code depends on the codes before it, but rows do not depend on each other.
#include "native/cpu/kernels/linear_parts.h"
#include "native/cpu/kernels/vector.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

inline bool AnyNonZero(Floats x) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(x, Floats{}, _CMP_NEQ_UQ) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_ps(_mm256_cmp_ps(x, Floats{}, _CMP_NEQ_UQ)) != 0;
#else
  const Ints differs = x != Floats{};
  return (differs[0] | differs[1] | differs[2] | differs[3]) != 0;
#endif
}

inline std::int64_t Least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

}  // namespace

void ProjectColumns(const DescentColumns& p) {
  constexpr int kTogether = 4;  // sums that share a load of u, and hide each other's latency
  const Floats zero = Load<Floats>(p.zero);
  for (std::int64_t j = p.begin; j < p.end; ++j) {
    Store(p.units + j * p.pitch, Load<Floats>(p.codes + j * p.pitch) - zero);
  }
  for (std::int64_t k = 0; k < p.block_end; k += kTogether) {
    const float* rows[kTogether];
    // Beyond the block its last column is projected again.
    for (int i = 0; i < kTogether; ++i)
      rows[i] = p.matrix + Least(k + i, p.block_end - 1) * p.stride;
    Floats sums[kTogether] = {};
    for (std::int64_t j = p.begin; j < p.end; ++j) {
      const Floats unit = Load<Floats>(p.units + j * p.pitch);
      for (int i = 0; i < kTogether; ++i) sums[i] = MultiplyAdd(unit, Splat(rows[i][j]), sums[i]);
    }
    for (int i = 0; i < kTogether; ++i) {
      Store(p.projection + Least(k + i, p.block_end - 1) * p.pitch, sums[i]);
    }
  }
  Floats slope{}, curvature{};
  for (std::int64_t j = p.begin; j < p.end; ++j) {
    const Floats unit = Load<Floats>(p.units + j * p.pitch);
    slope = MultiplyAdd(unit, Load<Floats>(p.residual + j * p.pitch), slope);
    curvature = MultiplyAdd(unit, Load<Floats>(p.projection + j * p.pitch), curvature);
  }
  Store(p.slope, slope);
  Store(p.curvature, curvature);
}

void ShiftColumns(const DescentColumns& p, const float* change) {
  const Floats shift = Load<Floats>(change);
  if (!AnyNonZero(shift)) return;
  for (std::int64_t k = 0; k < p.block_end; ++k) {
    float* residual = p.residual + k * p.pitch;
    const Floats projection = Load<Floats>(p.projection + k * p.pitch);
    Store(residual, MultiplyAdd(-shift, projection, Load<Floats>(residual)));
  }
  for (std::int64_t j = p.begin; j < p.end; ++j) {
    float* moved = p.moved + j * p.pitch;
    Store(moved, MultiplyAdd(shift, Load<Floats>(p.units + j * p.pitch), Load<Floats>(moved)));
  }
}

void DescendColumns(const DescentColumns& p) {
  const Floats scale = Load<Floats>(p.scale);
  const Floats steps = Splat(1.0f) / scale;
  const Floats max_code = Splat(p.max_code);
  for (std::int64_t j = p.begin; j < p.end; ++j) {
    const float* matrix = p.matrix + j * p.stride;
    // An input that is never there: any code is as good, so it only becomes a whole number.
    const float inverse = matrix[j] > 0 ? 1.0f / matrix[j] : 0.0f;
    const Floats residual = Load<Floats>(p.residual + j * p.pitch);
    const Floats code = Load<Floats>(p.codes + j * p.pitch);
    const Floats best = Round(MultiplyAdd(residual * Splat(inverse), steps, code));
    const Floats clamped = Min(max_code, Max(Floats{}, best));
    const Floats change = clamped - code;
    // Most columns of later passes: nothing to pass on.
    if (!AnyNonZero(change)) continue;
    const Floats moved = change * scale;
    Store(p.codes + j * p.pitch, clamped);
    Store(p.moved + j * p.pitch, Load<Floats>(p.moved + j * p.pitch) + moved);
    for (std::int64_t k = 0; k < p.block_end; ++k) {
      float* later = p.residual + k * p.pitch;
      Store(later, MultiplyAdd(-moved, Splat(matrix[k]), Load<Floats>(later)));
    }
  }
}

}  // namespace ballast::cpu::BALLAST_ISA
