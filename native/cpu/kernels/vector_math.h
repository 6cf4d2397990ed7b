// exp, tanh, the normal distribution and powers of a vector of floats. Polynomials are our own
// weighted minimax fits (Lawson iteration in float64). Errors against float64, measured over their
// whole ranges on every instruction set, in units of the last place: exp 1.0, tanh 1.3; PowAbs,
// which only ranks candidates, is within 7e-6 relative.
#pragma once

#include "native/cpu/kernels/vector.h"

namespace ballast::cpu::BALLAST_ISA {

// Adding it leaves the nearest whole number n, in the lowest bits as a float's exponent is held.
constexpr float kExponent = kRounder + 127;

// 2^n, given n + kExponent; of −127, 0, and of 128, infinity.
static inline Floats PowerOfTwo(Floats shifted) { return Bits(Bits(shifted) << 23); }

// x·2^n, given n + kExponent, −126 <= n <= 128.
static inline Floats TimesPowerOfTwo(Floats x, Floats shifted) {
#if defined(__AVX512F__)
  return _mm512_maskz_scalef_ps(0xffff, x, shifted - kExponent);
#else
  return x * PowerOfTwo(shifted);
#endif
}

// The highest coefficient first. Horner's rule for the even and the odd powers side by side: half
// as long a chain, for which processors with few operations in flight wait, and one operation more.
template <class... Coefficients>
static inline Floats Polynomial(Floats x, Coefficients... coefficients) {
  constexpr int kCount = sizeof...(Coefficients);
  static_assert(kCount > 2);
  const float c[] = {coefficients...};
  const Floats square = x * x;
  Floats sums[] = {Splat(c[0]), Splat(c[1])};
#pragma GCC unroll 16
  for (int i = 2; i < kCount; ++i) sums[i % 2] = MultiplyAdd(sums[i % 2], square, Splat(c[i]));
  return MultiplyAdd(sums[kCount % 2], x, sums[(kCount - 1) % 2]);
}

constexpr float kLog2E = 1.44269504f;

// e^x = 2^n e^r with |r| <= log(2)/2: n + kExponent, and e^r given that.
static inline Floats ShiftedExponent(Floats x) {
  return MultiplyAdd(x, Splat(kLog2E), Splat(kExponent));
}
static inline Floats ExpOfRest(Floats x, Floats shifted) {
  const Floats n = shifted - kExponent;
  // log(2) in two parts; the first has so few digits that n times it is exact.
  const Floats r = MultiplyAdd(n, Splat(2.12194440e-4f), MultiplyAdd(n, Splat(-0.693359375f), x));
  const Floats p = Polynomial(r, 0.000199179733f, 0.001394619f, 0.00833326485f, 0.0416662693f,
                              0.166666672f, 0.5f);
  return MultiplyAdd(p, r * r, r) + 1.0f;
}

// For what is added to 1: e^x, but never less than e^-87, and infinity from 89 on at the latest.
static inline Floats Exp(Floats x) {
  x = Min(Splat(89.0f), Max(Splat(-87.0f), x));
  const Floats shifted = ShiftedExponent(x);
  return TimesPowerOfTwo(ExpOfRest(x, shifted), shifted);
}

// 2^t of t <= 0, and 0 from −125.5 down: the weights of a softmax. Keys that are masked have
// t = −∞, and to form a subnormal number, or none, of it takes processors a hundred cycles. By
// twice the power of what is left of t, times half that of n: the power of n = −126 is then 0.
static inline Floats Exp2OfNonPositive(Floats t) {
  constexpr float kHalf = kExponent - 1;
#if !defined(__AVX512F__)
  t = Max(Splat(-126.0f), t);
#endif
  const Floats shifted = t + kHalf;
  const Floats n = shifted - kHalf;
  const Floats p = Polynomial(t - n, 0.00030652925f, 0.0026781613f, 0.019237012f, 0.1110072f,
                              0.48045295f, 1.3862944f, 2.0f);
#if defined(__AVX512F__)
  // Also where t is NaN.
  const __mmask16 seen = _mm512_cmp_ps_mask(n, Splat(-126.0f), _CMP_NLE_UQ);
  return _mm512_maskz_scalef_ps(seen, p, n - 1.0f);
#else
  return p * PowerOfTwo(shifted);
#endif
}

// e^x likewise. Its error is 2⁻²³·|x|, which is little of weights that are much.
static inline Floats ExpOfNonPositive(Floats x) { return Exp2OfNonPositive(x * kLog2E); }

static inline Floats WithSign(Floats magnitude, Floats sign) {
  return Bits(Bits(magnitude) | (Bits(sign) & static_cast<std::int32_t>(0x80000000)));
}

// An odd polynomial near zero, 1 − 2/(e^2|x| + 1) elsewhere.
static inline Floats Tanh(Floats x) {
  const Floats u = x * x;
  const Floats p = Polynomial(u, 0.00214753696f, -0.00818267372f, 0.0217029676f, -0.0539472029f,
                              0.133332103f, -0.333333313f);
  const Floats a = Abs(x);
  const Floats far = 1.0f - 2.0f / (Exp(a + a) + 1.0f);
  return a < 0.625f ? MultiplyAdd(x, u * p, x) : WithSign(far, x);
}

// log2 of positive normal numbers; of zero, about −127.
static inline Floats Log2(Floats x) {
  // Mantissas from sqrt(1/2) to sqrt(2): the offset moves the exponent's step there.
  const Ints offset = Bits(x) - 0x3f3504f3;
  const Floats exponent = __builtin_convertvector(offset >> 23, Floats);
  const Floats t = Bits((offset & 0x7fffff) + 0x3f3504f3) - 1.0f;
  const Floats p = Polynomial(t, -0.145742968f, 0.23688978f, -0.25006929f, 0.28670755f,
                              -0.360087186f, 0.480939448f, -0.721357167f, 1.44269478f);
  return MultiplyAdd(t, p, exponent);
}

// 2^x for −127 <= x <= 128, zero below the normal numbers and infinity above.
static inline Floats Exp2Within(Floats x) {
  const Floats shifted = x + kExponent;
  const Floats r = x - (shifted - kExponent);
  const Floats p =
      Polynomial(r, 0.00134075515f, 0.00967209134f, 0.0555030741f, 0.24022232f, 0.693147242f, 1.0f);
  return p * PowerOfTwo(shifted);
}

// 2^x, zero below the normal numbers.
static inline Floats Exp2(Floats x) {
  return Exp2Within(Min(Splat(127.0f), Max(Splat(-127.0f), x)));
}

// Half of erfc(a/√2), the upper tail of the normal distribution, for 0 <= a <= 10, as 2^p with p a
// fit on 0 … 6 that goes on to fall. Its error is within 1.3e-7 of 1, and 7e-5 of the tail up to 6.
static inline Floats NormalTail(Floats a) {
  return Exp2Within(Polynomial(a, 1.95463031e-07f, -4.72587726e-06f, 4.53126158e-05f,
                               -0.0001899036f, -0.000153195127f, 0.0070996359f, -0.0525255017f,
                               -0.459198058f, -1.15110648f, -0.99999994f));
}

// (|x|·2^-log2_unit)^exponent; 0 for 0 when the exponent is at least 1.
static inline Floats PowAbs(Floats x, float exponent, float log2_unit) {
  return Exp2((Log2(Abs(x)) - log2_unit) * exponent);
}

}  // namespace ballast::cpu::BALLAST_ISA
