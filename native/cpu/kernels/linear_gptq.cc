// The columns of a GPTQ block, as many rows at once as a vector has lanes: the serial chain from
// column to column then costs one vector operation where it would cost a scalar one. Codes are
// formed exactly as rounding to nearest forms them, so an identity factor gives its codes bit for
// bit.
#include "native/cpu/kernels/linear_parts.h"
#include "native/cpu/kernels/vector.h"

namespace ballast::cpu::BALLAST_ISA {

void QuantizeColumns(const GptqColumns& p) {
  const Floats scale = Load<Floats>(p.scale);
  const Floats zero = Load<Floats>(p.zero);
  const Floats max_code = Splat(p.max_code);
  for (std::int64_t j = p.begin; j < p.end; ++j) {
    const Floats weight = Load<Floats>(p.weights + j * kLanes);
    const Floats code = Min(max_code, Max(Floats{}, Round(weight / scale) + zero));
    const float* factor = p.factor + j * p.stride;
    const Floats error = (weight - scale * (code - zero)) / Splat(factor[j]);
    Store(p.codes + j * kLanes,
          __builtin_convertvector(__builtin_convertvector(code, Ints), Bytes));
    Store(p.errors + j * kLanes, error);
    for (std::int64_t k = j + 1; k < p.block_end; ++k) {
      float* later = p.weights + k * kLanes;
      Store(later, Load<Floats>(later) - error * Splat(factor[k]));
    }
  }
}

}  // namespace ballast::cpu::BALLAST_ISA
