// A software twin of the AVX-512 instructions that native/cpu/kernels is written in, on AVX2, after
// their operation sections in Intel's manual (SDM volume 2). It takes the names of their intrinsics
// in what is included after it, and says that there are such instructions. An intrinsic that a
// kernel newly uses does not compile here before it has a line below.
#pragma once

#include <immintrin.h>

#include <cmath>
#include <cstdint>

namespace avx512_twin {

#define BALLAST_TWIN static inline __attribute__((always_inline))

typedef float Floats __attribute__((vector_size(64)));
typedef double Doubles __attribute__((vector_size(64)));
typedef std::int32_t Ints __attribute__((vector_size(64)));
typedef std::uint16_t Shorts __attribute__((vector_size(64)));
typedef std::uint16_t HalfOfShorts __attribute__((vector_size(32)));

// A vector as another of its size, or as several of part of it.
template <class To, class From>
BALLAST_TWIN To As(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}

template <class Vector>
struct Halves {
  Vector low, high;
};

template <class Vector, class T>
BALLAST_TWIN Vector LoadMasked(std::uint64_t mask, const void* memory) {
  constexpr int kLanes = sizeof(Vector) / sizeof(T);
  T lanes[kLanes] = {};
  for (int i = 0; i < kLanes; ++i) {
    if (mask >> i & 1) lanes[i] = static_cast<const T*>(memory)[i];
  }
  return As<Vector>(lanes);
}

BALLAST_TWIN void Store(float* memory, Floats a) { __builtin_memcpy(memory, &a, sizeof a); }

BALLAST_TWIN Floats MultiplyAdd(Floats a, Floats b, Floats c) {
  const auto x = As<Halves<__m256>>(a), y = As<Halves<__m256>>(b), z = As<Halves<__m256>>(c);
  return As<Floats>(Halves<__m256>{_mm256_fmadd_ps(x.low, y.low, z.low),
                                   _mm256_fmadd_ps(x.high, y.high, z.high)});
}

// Of numbers of which one is NaN, and of zeros, the second.
BALLAST_TWIN Floats Max(Floats a, Floats b) { return a > b ? a : b; }
BALLAST_TWIN Floats Min(Floats a, Floats b) { return a < b ? a : b; }

BALLAST_TWIN float LargestOf(Floats a) {
  float largest = a[0];
  for (int i = 1; i < 16; ++i) largest = a[i] > largest ? a[i] : largest;
  return largest;
}

// a·2^⌊b⌋.
BALLAST_TWIN Floats Scale(__mmask16 mask, Floats a, Floats b) {
  Floats out = {};
  for (int i = 0; i < 16; ++i) {
    if (!(mask >> i & 1)) continue;
    const float exponent = std::fmin(1000.0f, std::fmax(-1000.0f, std::floor(b[i])));
    const auto scaled = static_cast<float>(std::ldexp(double{a[i]}, static_cast<int>(exponent)));
    out[i] = std::isnan(b[i]) ? b[i] : scaled;
  }
  return out;
}

template <int predicate>
BALLAST_TWIN __mmask16 Compare(Floats a, Floats b) {
  static_assert(predicate == _CMP_NEQ_UQ || predicate == _CMP_NLE_UQ);
  unsigned mask = 0;
  for (int i = 0; i < 16; ++i) {
    const bool holds = predicate == _CMP_NEQ_UQ ? a[i] != b[i] : !(a[i] <= b[i]);
    mask |= static_cast<unsigned>(holds) << i;
  }
  return static_cast<__mmask16>(mask);
}

BALLAST_TWIN __mmask16 HaveCommonBits(Ints a, Ints b) {
  unsigned mask = 0;
  for (int i = 0; i < 16; ++i) mask |= static_cast<unsigned>((a[i] & b[i]) != 0) << i;
  return static_cast<__mmask16>(mask);
}

// The other half, which the instruction leaves undefined, is NaN.
BALLAST_TWIN Floats FromLowHalf(__m256 half) {
  return As<Floats>(Halves<__m256>{half, _mm256_set1_ps(__builtin_nanf(""))});
}

BALLAST_TWIN Floats WithHighHalf(Floats a, __m256 half) {
  auto halves = As<Halves<__m256>>(a);
  halves.high = half;
  return As<Floats>(halves);
}

template <class Half, class Vector>
BALLAST_TWIN Half HalfOf(const Vector& a, int half) {
  const auto halves = As<Halves<Half>>(a);
  return half == 0 ? halves.low : halves.high;
}

BALLAST_TWIN __m512i Widen(__m256i shorts) {
  return As<__m512i>(__builtin_convertvector(As<HalfOfShorts>(shorts), Ints));
}

BALLAST_TWIN __m512i WidenBytes(__m128i bytes) {
  return As<__m512i>(Halves<__m256i>{_mm256_cvtepu8_epi32(bytes),
                                     _mm256_cvtepu8_epi32(_mm_bsrli_si128(bytes, 8))});
}

BALLAST_TWIN __m256 ToSingle(Doubles a) {
  const auto halves = As<Halves<__m256d>>(a);
  return _mm256_set_m128(_mm256_cvtpd_ps(halves.high), _mm256_cvtpd_ps(halves.low));
}

BALLAST_TWIN Doubles ToDouble(__m256 a) {
  return As<Doubles>(Halves<__m256d>{_mm256_cvtps_pd(_mm256_castps256_ps128(a)),
                                     _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1))});
}

BALLAST_TWIN Floats FromHalf(__m256i a) {
  const auto halves = As<Halves<__m128i>>(a);
  return As<Floats>(Halves<__m256>{_mm256_cvtph_ps(halves.low), _mm256_cvtph_ps(halves.high)});
}

BALLAST_TWIN __m256i ToHalf(Floats a) {
  const auto halves = As<Halves<__m256>>(a);
  return As<__m256i>(Halves<__m128i>{_mm256_cvtps_ph(halves.low, _MM_FROUND_TO_NEAREST_INT),
                                     _mm256_cvtps_ph(halves.high, _MM_FROUND_TO_NEAREST_INT)});
}

BALLAST_TWIN __m512i Permute(Shorts index, Shorts a) {
  Shorts out = {};
  for (int i = 0; i < 32; ++i) out[i] = a[index[i] & 31];
  return As<__m512i>(out);
}

// What the bfloat16 instructions take for zero: numbers below the normal ones.
BALLAST_TWIN float Flushed(float x) {
  return std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x;
}

BALLAST_TWIN std::uint16_t ToBfloat(float x) {
  const auto bits = As<std::uint32_t>(Flushed(x));
  if (std::isnan(x)) return static_cast<std::uint16_t>(bits >> 16 | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// The second one's in the first lanes.
BALLAST_TWIN Shorts ToBfloats(Floats a, Floats b) {
  Shorts out = {};
  for (int i = 0; i < 16; ++i) {
    out[i] = ToBfloat(b[i]);
    out[16 + i] = ToBfloat(a[i]);
  }
  return out;
}

BALLAST_TWIN float FromBfloat(std::uint16_t x) {
  return Flushed(As<float>(std::uint32_t{x} << 16));
}

// Each lane's upper pair before its lower, each as a fused multiply-add.
BALLAST_TWIN Floats AddPairs(Floats sum, __m512bh a, __m512bh b) {
  const auto x = As<Shorts>(a), y = As<Shorts>(b);
  for (int i = 0; i < 16; ++i) {
    for (int pair = 1; pair >= 0; --pair) {
      const float p = FromBfloat(x[2 * i + pair]), q = FromBfloat(y[2 * i + pair]);
      sum[i] = Flushed(std::fma(p, q, Flushed(sum[i])));
    }
  }
  return sum;
}

#undef BALLAST_TWIN

}  // namespace avx512_twin

// Kernels use masked forms with all lanes where gcc 12 has the others begin from an undefined
// vector.
#define _mm256_maskz_loadu_epi16(mask, p) avx512_twin::LoadMasked<__m256i, std::uint16_t>(mask, p)
#define _mm512_maskz_loadu_epi16(mask, p) avx512_twin::LoadMasked<__m512i, std::uint16_t>(mask, p)
#define _mm512_maskz_loadu_epi32(mask, p) avx512_twin::LoadMasked<__m512i, std::int32_t>(mask, p)
#define _mm512_stream_ps(p, a) avx512_twin::Store(p, a)
#define _mm512_castps256_ps512(a) avx512_twin::FromLowHalf(a)
#define _mm512_castsi512_si256(a) avx512_twin::HalfOf<__m256i>(a, 0)
#define _mm512_extracti64x4_epi64(a, half) avx512_twin::HalfOf<__m256i>(a, half)
#define _mm512_maskz_extractf32x8_ps(mask, a, half) avx512_twin::HalfOf<__m256>(a, half)
#define _mm512_maskz_insertf32x8(mask, a, b, half) avx512_twin::WithHighHalf(a, b)
#define _mm512_permutexvar_epi16(index, a)                          \
  avx512_twin::Permute(avx512_twin::As<avx512_twin::Shorts>(index), \
                       avx512_twin::As<avx512_twin::Shorts>(a))
#define _mm512_fmadd_ps(a, b, c) avx512_twin::MultiplyAdd(a, b, c)
#define _mm512_maskz_max_ps(mask, a, b) avx512_twin::Max(a, b)
#define _mm512_maskz_min_ps(mask, a, b) avx512_twin::Min(a, b)
#define _mm512_reduce_max_ps(a) avx512_twin::LargestOf(a)
#define _mm512_maskz_scalef_ps(mask, a, b) avx512_twin::Scale(mask, a, b)
#define _mm512_cmp_ps_mask(a, b, predicate) avx512_twin::Compare<predicate>(a, b)
#define _mm512_test_epi32_mask(a, b)                                 \
  avx512_twin::HaveCommonBits(avx512_twin::As<avx512_twin::Ints>(a), \
                              avx512_twin::As<avx512_twin::Ints>(b))
#define _mm512_maskz_cvtepu16_epi32(mask, a) avx512_twin::Widen(a)
#define _mm512_maskz_cvtepu8_epi32(mask, a) avx512_twin::WidenBytes(a)
#define _mm512_maskz_cvtpd_ps(mask, a) avx512_twin::ToSingle(a)
#define _mm512_maskz_cvtps_pd(mask, a) avx512_twin::ToDouble(a)
#define _mm512_maskz_cvtph_ps(mask, a) avx512_twin::FromHalf(a)
#define _mm512_maskz_cvtps_ph(mask, a, rounding) avx512_twin::ToHalf(a)
#define _mm512_cvtne2ps_pbh(a, b) avx512_twin::ToBfloats(a, b)
#define _mm512_dpbf16_ps(sum, a, b) avx512_twin::AddPairs(sum, a, b)

#define __AVX512F__ 1
