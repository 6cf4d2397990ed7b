// Rows of float16 and bfloat16 to and from float32.
#include "native/cpu/kernels/float_formats.h"
#include "native/cpu/kernels/row_parts.h"
#include "native/cpu/kernels/vector.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

template <Floats (*kConvert)(Shorts)>
void Widen(const std::uint16_t* in, std::int64_t n, float* out) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) Store(out + i, kConvert(Load<Shorts>(in + i)));
  if (i < n) StorePart(out + i, kConvert(LoadPart<Shorts>(in + i, n - i)), n - i);
}

template <Shorts (*kConvert)(Floats)>
void Narrow(const float* in, std::int64_t n, std::uint16_t* out) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) Store(out + i, kConvert(Load<Floats>(in + i)));
  if (i < n) StorePart(out + i, kConvert(LoadPart<Floats>(in + i, n - i)), n - i);
}

}  // namespace

void AddConversionKernels(RowKernels& table) {
  table.half_to_float = Widen<FromHalf>;
  table.float_to_half = Narrow<ToHalf>;
  table.bfloat_to_float = Widen<FromBfloat>;
  table.float_to_bfloat = Narrow<ToBfloat>;
}

}  // namespace ballast::cpu::BALLAST_ISA
