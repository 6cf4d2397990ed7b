// Uniform quantization of rows: code = clamp(round(x/scale + (zero − round(zero))) + round(zero),
// 0, max_code), value = scale·(code − zero): of a whole zero, round(x/scale) + zero. The division
// stays a float32 division and the rounding half to even, so codes agree bit for bit with other
// float32 programs.
#include "native/cpu/kernels/row_parts.h"
#include "native/cpu/kernels/vector_math.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

// A NaN stays NaN.
inline Floats Clamp(Floats x, float max_code) { return Min(Splat(max_code), Max(Floats{}, x)); }

inline Floats Code(Floats x, Floats scale, Floats zero, float max_code) {
  const Floats whole = Round(zero);
  return Clamp(Round(x / scale + (zero - whole)) + whole, max_code);
}

// Calls f(i, count, scale, zero) for each vector of the row; count is kLanes but for the last.
template <class F>
inline void ForEachVector(const Affine& affine, std::int64_t n, F f) {
  Floats scale = Splat(*affine.scale), zero = Splat(*affine.zero);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const std::int64_t count = n - i < kLanes ? n - i : kLanes;
    if (affine.per_element) {
      scale = count == kLanes ? Load<Floats>(affine.scale + i)
                              : LoadPart<Floats>(affine.scale + i, count);
      zero = count == kLanes ? Load<Floats>(affine.zero + i)
                             : LoadPart<Floats>(affine.zero + i, count);
    }
    f(i, count, scale, zero);
  }
}

inline Floats LoadCount(const float* x, std::int64_t count) {
  return count == kLanes ? Load<Floats>(x) : LoadPart<Floats>(x, count);
}

inline void StoreCount(float* out, Floats x, std::int64_t count) {
  if (count == kLanes) {
    Store(out, x);
  } else {
    StorePart(out, x, count);
  }
}

void Quantize(const float* x, const Affine& affine, std::int64_t n, std::uint8_t* codes) {
  const float max_code = affine.max_code;
  ForEachVector(affine, n, [=](std::int64_t i, std::int64_t count, Floats scale, Floats zero) {
    const Floats code = Code(LoadCount(x + i, count), scale, zero, max_code);
    // Of NaN, as 0/0 in a group whose scale is 0, code 0.
    const Ints whole = __builtin_convertvector(code == code ? code : Floats{}, Ints);
    StorePart(codes + i, __builtin_convertvector(whole, Bytes), count);
  });
}

void Dequantize(const std::uint8_t* codes, const Affine& affine, std::int64_t n, float* out) {
  ForEachVector(affine, n, [=](std::int64_t i, std::int64_t count, Floats scale, Floats zero) {
    const Ints code = __builtin_convertvector(LoadPart<Bytes>(codes + i, count), Ints);
    StoreCount(out + i, (__builtin_convertvector(code, Floats) - zero) * scale, count);
  });
}

void FakeQuantize(const float* x, const Affine& affine, std::int64_t n, float* out) {
  const float max_code = affine.max_code;
  ForEachVector(affine, n, [=](std::int64_t i, std::int64_t count, Floats scale, Floats zero) {
    FetchRowBehind(x + i, n, kLanes);
    const Floats code = Code(LoadCount(x + i, count), scale, zero, max_code);
    StoreCount(out + i, (code - zero) * scale, count);
  });
}

// Both sides are computed for each element, which keeps the loop free of branches.
void TwinQuantize(const float* x, const Twin& twin, std::int64_t n, float* out) {
  const Twin t = twin;
  Map(x, n, out, [t](Floats value) {
    const Floats low = Max(Splat(t.low_min), Round(value / t.low_scale));
    const Floats below = Min(Splat(t.low_max), low) * t.low_scale;
    const Floats above = Clamp(Round(value / t.high_scale), t.high_max) * t.high_scale;
    return value < t.threshold ? below : above;
  });
}

// The reciprocal is good enough to rank candidates: it moves a code only where both neighbours are
// as far. A candidate's range is within x's by no more than the search's, so no code is large here.
inline Floats TrialError(Floats x, const ClipTrials& trials, int t) {
  const Floats scale = Splat(trials.scale[t]), zero = Splat(trials.zero[t]);
  const Floats rounded = MultiplyAdd(x, Splat(1.0f / trials.scale[t]), Splat(kRounder)) - kRounder;
  const Floats value = (Clamp(rounded + zero, trials.max_code) - zero) * scale;
  return PowAbs(x - value, trials.exponent, trials.log2_unit);
}

void ClipErrors(const float* x, const float* weights, std::int64_t n, const ClipTrials& trials,
                float* errors) {
  // Most candidates are far off: a look at every 16 vectors ends them early.
  constexpr std::int64_t kStretch = 16 * kLanes;
  const ClipTrials local = trials;
  Floats sums[kClipTrials] = {};
  for (std::int64_t first = 0; first < n; first += kStretch) {
    const std::int64_t end = n - first < kStretch ? n : first + kStretch;
    for (std::int64_t i = first; i < end; i += kLanes) {
      // Padding zeros have no error.
      const std::int64_t count = end - i < kLanes ? end - i : kLanes;
      const Floats v = LoadCount(x + i, count);
      const Floats m = weights == nullptr ? Splat(1.0f) : LoadCount(weights + i, count);
      for (int t = 0; t < kClipTrials; ++t)
        sums[t] = MultiplyAdd(m, TrialError(v, local, t), sums[t]);
    }
    // Every term is positive: a sum beyond the limit stays there.
    bool hopeless = true;
    for (int t = 0; t < kClipTrials; ++t) {
      errors[t] = Sum(sums[t]);
      hopeless = hopeless && errors[t] > local.limit;
    }
    if (hopeless) return;
  }
}

}  // namespace

void AddQuantizationKernels(RowKernels& table) {
  table.quantize = Quantize;
  table.dequantize = Dequantize;
  table.fake_quantize = FakeQuantize;
  table.twin_quantize = TwinQuantize;
  table.clip_errors = ClipErrors;
}

}  // namespace ballast::cpu::BALLAST_ISA
