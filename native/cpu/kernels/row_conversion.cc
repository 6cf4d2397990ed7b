// Rows of float16 and bfloat16 to and from float32, of float8 to float32, and of float32 past the
// caches.
#include <string.h>

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

void ScaledFloat8(const std::uint8_t* in, float scale, std::int64_t n, float* out) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) Store(out + i, FromFloat8(Load<Bytes>(in + i)) * scale);
  if (i < n) StorePart(out + i, FromFloat8(LoadPart<Bytes>(in + i, n - i)) * scale, n - i);
}

#if defined(__AVX512F__)
void Stream(const float* in, std::int64_t n, float* out) {
  constexpr std::uintptr_t kLine = 64;
  const std::uintptr_t into_line = reinterpret_cast<std::uintptr_t>(out) % kLine;
  const auto before = static_cast<std::int64_t>((kLine - into_line) % kLine / sizeof(float));
  std::int64_t i = before < n ? before : n;
  memcpy(out, in, static_cast<std::size_t>(i) * sizeof(float));
  for (; i + kLanes <= n; i += kLanes) _mm512_stream_ps(out + i, Load<Floats>(in + i));
  memcpy(out + i, in + i, static_cast<std::size_t>(n - i) * sizeof(float));
  // Such stores keep no order with the one that tells other threads of the task's end.
  _mm_sfence();
}
#endif

}  // namespace

void AddConversionKernels(RowKernels& table) {
#if defined(__AVX512F__)
  table.stream = Stream;
#endif
  table.half_to_float = Widen<FromHalf>;
  table.float_to_half = Narrow<ToHalf>;
  table.bfloat_to_float = Widen<FromBfloat>;
  table.float_to_bfloat = Narrow<ToBfloat>;
  table.scaled_float8 = ScaledFloat8;
}

}  // namespace ballast::cpu::BALLAST_ISA
