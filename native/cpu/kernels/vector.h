// One vector of floats as wide as the instruction set of the including file, written with the
// compilers' vector extensions so that one text serves them all. Everything here is static: see
// kernels.h.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace ballast::cpu::BALLAST_ISA {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float Floats __attribute__((vector_size(4 * kLanes)));
typedef std::int32_t Ints __attribute__((vector_size(4 * kLanes)));
typedef std::uint32_t Words __attribute__((vector_size(4 * kLanes)));
typedef double Doubles __attribute__((vector_size(4 * kLanes)));
typedef std::uint16_t Shorts __attribute__((vector_size(2 * kLanes)));
typedef std::uint8_t Bytes __attribute__((vector_size(kLanes)));

template <class V, class T>
static inline V Load(const T* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <class V, class T>
static inline void Store(T* p, V v) {
  std::memcpy(p, &v, sizeof v);
}

// Lanes begin … end−1 of the vector at p; the others are zero and are not touched in memory. By
// masks where there are any for the type: the copy goes through memory and waits for itself.
template <class V, class T>
static inline V LoadLanes(const T* p, std::int64_t begin, std::int64_t end) {
#if defined(__AVX512F__)
  [[maybe_unused]] const std::uint32_t lanes = (1u << end) - (1u << begin);
  if constexpr (sizeof(V) == 64 && sizeof(T) == 4) {
    const auto mask = static_cast<__mmask16>(lanes);
    return reinterpret_cast<V>(_mm512_maskz_loadu_epi32(mask, p));
  } else if constexpr (sizeof(V) == 64 && sizeof(T) == 2) {
    return reinterpret_cast<V>(_mm512_maskz_loadu_epi16(static_cast<__mmask32>(lanes), p));
  } else if constexpr (sizeof(V) == 32 && sizeof(T) == 2) {
    const auto mask = static_cast<__mmask16>(lanes);
    return reinterpret_cast<V>(_mm256_maskz_loadu_epi16(mask, p));
  }
#elif defined(__AVX2__)
  if constexpr (sizeof(V) == 32 && sizeof(T) == 4) {
    const Ints lane = {0, 1, 2, 3, 4, 5, 6, 7};
    const Ints mask =
        (lane >= static_cast<std::int32_t>(begin)) & (lane < static_cast<std::int32_t>(end));
    return reinterpret_cast<V>(
        _mm256_maskload_epi32(reinterpret_cast<const int*>(p), reinterpret_cast<__m256i>(mask)));
  }
#endif
  T some[sizeof(V) / sizeof(T)] = {};
  if (begin < end) {
    std::memcpy(some + begin, p + begin, static_cast<std::size_t>(end - begin) * sizeof(T));
  }
  return Load<V>(some);
}

// The first n elements.
template <class V, class T>
static inline V LoadPart(const T* p, std::int64_t n) {
  return LoadLanes<V>(p, 0, n);
}

template <class V, class T>
static inline void StorePart(T* p, V v, std::int64_t n) {
  std::memcpy(p, &v, static_cast<std::size_t>(n) * sizeof(T));
}

static inline Floats Splat(float x) { return x - Floats{}; }

static inline Floats Bits(Ints x) { return reinterpret_cast<Floats>(x); }
static inline Ints Bits(Floats x) { return reinterpret_cast<Ints>(x); }

// a where it is the larger, else b; so a NaN in b survives. (The masked forms, because the plain
// ones make gcc 12 warn inside its own header.)
static inline Floats Max(Floats a, Floats b) {
#if defined(__AVX512F__)
  return _mm512_maskz_max_ps(0xffff, a, b);
#elif defined(__AVX2__)
  return _mm256_max_ps(a, b);
#else
  return a > b ? a : b;
#endif
}

static inline Floats Min(Floats a, Floats b) {
#if defined(__AVX512F__)
  return _mm512_maskz_min_ps(0xffff, a, b);
#elif defined(__AVX2__)
  return _mm256_min_ps(a, b);
#else
  return a < b ? a : b;
#endif
}

// a·b + c, rounded once where the instruction set can. Written out because the compiler is told not
// to fuse on its own: it would fuse some formulas and not their like.
static inline Floats MultiplyAdd(Floats a, Floats b, Floats c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__FMA__)
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}

// The same where c is one of as many sums as registers hold. (By hand, because compilers also
// choose the forms that leave the sum in a factor's register, and then run out of these.)
static inline Floats AddProduct(Floats a, Floats b, Floats c) {
#if defined(__FMA__) && !defined(__AVX512F__)
  asm("vfmadd231ps %2, %1, %0" : "+x"(c) : "x"(a), "x"(b));
  return c;
#else
  return MultiplyAdd(a, b, c);
#endif
}

// The same with one number for all of a, where the instruction set can broadcast it on its way from
// memory. (By hand, because compilers broadcast a number aside that is needed more than once.)
static inline Floats AddProductOfOne(const float* a, Floats b, Floats c) {
#if defined(__AVX512F__) && !defined(BALLAST_EMULATE_AVX512)
  asm("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(c) : "v"(b), "m"(*a));
  return c;
#else
  return AddProduct(Splat(*a), b, c);
#endif
}

static inline Floats Abs(Floats x) { return Bits(Bits(x) & 0x7fffffff); }

// 1.5·2²³: adding it leaves a float whose last place is 1, that is, the sum rounded half to even.
constexpr float kRounder = 12582912.0f;

// Rounds half to even; beyond ±2²² it returns ±2²².
static inline Floats Round(Floats x) {
  const Floats limit = Splat(4194304.0f);
  return (Min(limit, Max(-limit, x)) + kRounder) - kRounder;
}

// The halves of a vector as float64, and back. By intrinsics where there are any: from memcpy gcc
// 12 makes a trip through memory.
#if defined(__AVX512F__)
static inline Doubles Low(Floats x) {
  return _mm512_maskz_cvtps_pd(0xff, _mm512_maskz_extractf32x8_ps(0xff, x, 0));
}
static inline Doubles High(Floats x) {
  return _mm512_maskz_cvtps_pd(0xff, _mm512_maskz_extractf32x8_ps(0xff, x, 1));
}
static inline Floats Join(Doubles low, Doubles high) {
  return _mm512_maskz_insertf32x8(0xffff, _mm512_castps256_ps512(_mm512_maskz_cvtpd_ps(0xff, low)),
                                  _mm512_maskz_cvtpd_ps(0xff, high), 1);
}
#elif defined(__AVX2__)
static inline Doubles Low(Floats x) { return _mm256_cvtps_pd(_mm256_castps256_ps128(x)); }
static inline Doubles High(Floats x) { return _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)); }
static inline Floats Join(Doubles low, Doubles high) {
  return _mm256_set_m128(_mm256_cvtpd_ps(high), _mm256_cvtpd_ps(low));
}
#else
static inline Doubles Low(Floats x) { return Doubles{x[0], x[1]}; }
static inline Doubles High(Floats x) { return Doubles{x[2], x[3]}; }
static inline Floats Join(Doubles low, Doubles high) {
  return Floats{static_cast<float>(low[0]), static_cast<float>(low[1]), static_cast<float>(high[0]),
                static_cast<float>(high[1])};
}
#endif

// Half a vector of floats from memory, as float64.
static inline Doubles LoadDoubles(const float* p) {
#if defined(__AVX512F__)
  return _mm512_maskz_cvtps_pd(0xff, _mm256_loadu_ps(p));
#elif defined(__AVX2__)
  return _mm256_cvtps_pd(_mm_loadu_ps(p));
#else
  return Doubles{p[0], p[1]};
#endif
}

// Sums pairwise, in one fixed order.
static inline float Sum(Floats x) {
#if defined(__AVX512F__)
  const __m256 eight =
      _mm512_maskz_extractf32x8_ps(0xff, x, 0) + _mm512_maskz_extractf32x8_ps(0xff, x, 1);
  const __m128 four = _mm256_castps256_ps128(eight) + _mm256_extractf128_ps(eight, 1);
#elif defined(__AVX2__)
  const __m128 four = _mm256_castps256_ps128(x) + _mm256_extractf128_ps(x, 1);
#else
  const Floats four = x;
#endif
  return (four[0] + four[2]) + (four[1] + four[3]);
}

static inline double Sum(Doubles x) {
  for (int width = kLanes / 4; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) x[i] += x[i + width];
  }
  return x[0];
}

static inline float Largest(Floats x) {
#if defined(__AVX512F__)
  return _mm512_reduce_max_ps(x);
#else
  float largest = x[0];
  for (int i = 1; i < kLanes; ++i) largest = x[i] > largest ? x[i] : largest;
  return largest;
#endif
}

// Whether a comparison holds in any lane.
static inline bool AnyLane(Ints holds) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask(reinterpret_cast<__m512i>(holds),
                                reinterpret_cast<__m512i>(holds)) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_ps(reinterpret_cast<__m256>(holds)) != 0;
#else
  return (holds[0] | holds[1] | holds[2] | holds[3]) != 0;
#endif
}

// Floats of a cache line.
constexpr int kLineFloats = 16;

// Begins to fetch the row behind this one of n, usually the next, where `step` floats of this one
// are used: between the first pass over a row and the last no memory would be read. kWritten is
// whether that row will be written.
template <bool kWritten = false>
static inline void FetchRowBehind(const float* x, std::int64_t n, int step) {
  for (int i = 0; i < step; i += kLineFloats) __builtin_prefetch(x + n + i, kWritten, 2);
}

// out[i] = f(in[i]) for n elements. With AVX2 a long row is fetched ahead, and where it is written
// too: what f computes leaves processors few operations of the next lines to wait for.
template <class F>
static inline void Map(const float* in, std::int64_t n, float* out, F f) {
  std::int64_t i = 0;
#if defined(__AVX2__) && !defined(__AVX512F__)
  constexpr std::int64_t kAhead = 384;
  for (; i + kAhead + kLineFloats <= n; i += kLineFloats) {
    __builtin_prefetch(in + i + kAhead);
    __builtin_prefetch(out + i + kAhead, 1);
    const Floats first = f(Load<Floats>(in + i)), second = f(Load<Floats>(in + i + kLanes));
    Store(out + i, first);
    Store(out + i + kLanes, second);
  }
#endif
  for (; i + kLanes <= n; i += kLanes) Store(out + i, f(Load<Floats>(in + i)));
  if (i < n) StorePart(out + i, f(LoadPart<Floats>(in + i, n - i)), n - i);
}

template <class F>
static inline void Map(const float* a, const float* b, std::int64_t n, float* out, F f) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) Store(out + i, f(Load<Floats>(a + i), Load<Floats>(b + i)));
  if (i < n) {
    StorePart(out + i, f(LoadPart<Floats>(a + i, n - i), LoadPart<Floats>(b + i, n - i)), n - i);
  }
}

}  // namespace ballast::cpu::BALLAST_ISA
