// float16 and bfloat16 to and from float32, a vector at a time: round to nearest even, subnormals
// kept, NaN stays NaN (made quiet, upper payload bits kept). Without F16C the same results come
// from integer arithmetic. And float8_e4m3fn to float32.
#pragma once

#include "native/cpu/kernels/vector.h"

namespace ballast::cpu::BALLAST_ISA {

static_assert(sizeof(Shorts) * 2 == sizeof(Floats));

// By hand, because gcc 12 widens a vector in two halves.
static inline Ints Widened(Shorts x) {
#if defined(__AVX512F__)
  return reinterpret_cast<Ints>(_mm512_maskz_cvtepu16_epi32(0xffff, reinterpret_cast<__m256i>(x)));
#elif defined(__AVX2__)
  return reinterpret_cast<Ints>(_mm256_cvtepu16_epi32(reinterpret_cast<__m128i>(x)));
#else
  return __builtin_convertvector(x, Ints);
#endif
}

static inline Ints Widened(Bytes x) {
#if defined(__AVX512F__)
  return reinterpret_cast<Ints>(_mm512_maskz_cvtepu8_epi32(0xffff, reinterpret_cast<__m128i>(x)));
#elif defined(__AVX2__)
  long long bytes;
  std::memcpy(&bytes, &x, sizeof x);
  return reinterpret_cast<Ints>(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(bytes)));
#else
  return __builtin_convertvector(x, Ints);
#endif
}

// float8_e4m3fn (DequantizeFloat8Params): what its exponent lacks to float32's is added.
static inline Floats FromFloat8(Bytes float8) {
  const Ints code = Widened(float8);
  const Ints magnitude = code & 0x7f;
  const Ints tiny = Bits(__builtin_convertvector(magnitude, Floats) * 0x1p-9f);
  const Ints normal = (magnitude << 20) + (120 << 23);
  const Ints nan = Ints{} + 0x7fc00000;
  const Ints value = magnitude < 8 ? tiny : (magnitude == 0x7f ? nan : normal);
  return Bits(value | ((code & 0x80) << 24));
}

static inline Floats FromHalf(Shorts half) {
#if defined(__AVX512F__)
  return _mm512_maskz_cvtph_ps(0xffff, reinterpret_cast<__m256i>(half));
#elif defined(__F16C__)
  return _mm256_cvtph_ps(reinterpret_cast<__m128i>(half));
#else
  const Ints h = Widened(half);
  const Ints magnitude = h & 0x7fff;
  const Ints rebias = (magnitude << 13) + (112 << 23);
  // Subnormals count units of 2^-24; the largest exponent moves to that of float32.
  const Ints tiny = Bits(__builtin_convertvector(magnitude, Floats) * 0x1p-24f);
  const Ints quiet = (magnitude > 0x7c00) & 0x400000;
  const Ints special = (rebias + (112 << 23)) | quiet;
  const Ints value = magnitude < 0x400 ? tiny : (magnitude >= 0x7c00 ? special : rebias);
  return Bits(value | ((h & 0x8000) << 16));
#endif
}

static inline Shorts ToHalf(Floats x) {
#if defined(__AVX512F__)
  return reinterpret_cast<Shorts>(_mm512_maskz_cvtps_ph(0xffff, x, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__F16C__)
  return reinterpret_cast<Shorts>(_mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
#else
  const Ints bits = Bits(x);
  const Ints a = bits & 0x7fffffff;
  const Words carried = reinterpret_cast<Words>(a) + 0xfff + reinterpret_cast<Words>((a >> 13) & 1);
  const Ints normal = reinterpret_cast<Ints>(carried >> 13) - (112 << 10);
  // The last place of 0.5 … 1 is 2^-24, the unit of the subnormals: this addition rounds to it.
  const Ints tiny = Bits(Bits(a) + 0.5f) - Bits(Splat(0.5f));
  const Ints infinite = Ints{} + 0x7c00;
  const Ints nan = ((a >> 13) & 0x3ff) | 0x7e00;
  const Ints large = a > 0x7f800000 ? nan : infinite;
  const Ints value = a < 0x38800000 ? tiny : (a >= 0x47800000 ? large : normal);
  return __builtin_convertvector(value | ((bits >> 16) & 0x8000), Shorts);
#endif
}

static inline Floats FromBfloat(Shorts bfloat) { return Bits(Widened(bfloat) << 16); }

static inline Shorts ToBfloat(Floats x) {
  const Ints bits = Bits(x);
  const Ints high = (bits >> 16) & 0xffff;
  // Rounding may carry through the exponent, up to infinity, as it should.
  const Words carried = reinterpret_cast<Words>(bits) + 0x7fff + reinterpret_cast<Words>(high & 1);
  const Ints rounded = reinterpret_cast<Ints>(carried >> 16);
  const Ints value = (bits & 0x7fffffff) > 0x7f800000 ? high | 0x40 : rounded;
  return __builtin_convertvector(value, Shorts);
}

}  // namespace ballast::cpu::BALLAST_ISA
