// How ggml's types Q2_K … Q6_K lay out a super-block of 256 codes, written down once for all
// backends (source: ggml-common.h and ggml-quants.c). Codes lie in planes: of the low bits, and of
// what is above them. Beside them stand the two steps as float16 and, of each group, the multiples
// that scale and offset are of them.
#pragma once

#include <cstdint>
#include <cstring>

#include "native/backend/super_block_params.h"
#include "native/core/everywhere.h"

namespace ballast {

// `bits` of each code, `span` bytes after the other; then the next ones of the same bytes.
struct CodePlane {
  int offset;
  int bits;
  int span;
};

struct SuperBlockBytes {
  int steps;      // offset of the scales' step; that of the offsets follows
  int multiples;  // offset
  CodePlane low;
  CodePlane high;  // of no bits where the low ones are all
  int size;
};

template <int kBits>
BALLAST_EVERYWHERE constexpr SuperBlockBytes SuperBlockBytesOf() {
  if (kBits == 2) return {80, 0, {16, 2, 32}, {0, 0, 1}, 84};
  if (kBits == 3) return {108, 96, {32, 2, 32}, {0, 1, 32}, 110};
  if (kBits == 4) return {0, 4, {16, 4, 32}, {0, 0, 1}, 144};
  if (kBits == 5) return {0, 4, {48, 4, 32}, {16, 1, 32}, 176};
  return {208, 192, {0, 4, 64}, {128, 2, 32}, 210};
}

// f with the bits, 2 to 6, as a constant.
template <class F>
void WithSuperBlockBits(int bits, F f) {
  if (bits == 2) return f.template operator()<2>();
  if (bits == 3) return f.template operator()<3>();
  if (bits == 4) return f.template operator()<4>();
  if (bits == 5) return f.template operator()<5>();
  f.template operator()<6>();
}

namespace super_block {

constexpr int kColumns = static_cast<int>(SuperBlock::kColumns);
constexpr int kMostGroups = kColumns / 16;
constexpr std::uint16_t kHalfNan = 0x7e00;

// ---- float16 ----

BALLAST_EVERYWHERE inline float HalfValue(std::uint16_t half) {
  const std::uint32_t magnitude = half & 0x7fffu;
  float value = static_cast<float>(magnitude) * 0x1p-24f;
  if (magnitude >= 0x400u) {
    const std::uint32_t rebias = magnitude >= 0x7c00u ? 224u << 23 : 112u << 23;
    const std::uint32_t bits = (magnitude << 13) + rebias;
    std::memcpy(&value, &bits, sizeof value);
  }
  return (half & 0x8000u) != 0 ? -value : value;
}

// The nearest to a number 0 … 65504, half to even.
BALLAST_EVERYWHERE inline std::uint16_t HalfBits(float value) {
  std::uint32_t bits;
  if (value < 0x1p-14f) {
    // The last place of ½ … 1 is the unit of the subnormal numbers.
    const float shifted = value + 0.5f;
    std::memcpy(&bits, &shifted, sizeof bits);
    return static_cast<std::uint16_t>(bits - 0x3f000000u);
  }
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<std::uint16_t>((bits + 0xfffu + (bits >> 13 & 1u) - (112u << 23)) >> 13);
}

BALLAST_EVERYWHERE inline void PutHalf(std::uint16_t half, std::uint8_t* out) {
  out[0] = static_cast<std::uint8_t>(half);
  out[1] = static_cast<std::uint8_t>(half >> 8);
}

BALLAST_EVERYWHERE inline float GetHalf(const std::uint8_t* in) {
  return HalfValue(static_cast<std::uint16_t>(in[0] | in[1] << 8));
}

// ---- Steps ----

// A step and the multiples of it that some numbers are.
struct Multiples {
  std::uint16_t step = kHalfNan;  // where there is none
  int of[kMostGroups] = {};
};

// Of numbers >= 0, the step of which the largest is the highest multiple, at most `most`, that
// makes `are(step, multiples)` true of all; multiples are the nearest.
template <class Are>
BALLAST_EVERYWHERE Multiples FindMultiples(const float* values, int count, int most, Are are) {
  Multiples found;
  float largest = 0;
  for (int g = 0; g < count; ++g) largest = values[g] > largest ? values[g] : largest;
  for (int k = most; k > 0; --k) {
    const std::uint16_t half = HalfBits(largest / static_cast<float>(k));
    const float step = HalfValue(half);
    bool fits = true;
    for (int g = 0; g < count && fits; ++g) {
      found.of[g] = step > 0 ? static_cast<int>(values[g] / step + 0.5f) : 0;
      fits = found.of[g] <= most && are(g, step * static_cast<float>(found.of[g]));
    }
    if (fits) {
      found.step = half;
      return found;
    }
  }
  return found;
}

// ---- Multiples as bytes ----

// Six bits each of 8 scales and 8 offsets.
BALLAST_EVERYWHERE inline void PutSixBits(const int* scales, const int* offsets,
                                          std::uint8_t* out) {
  for (int g = 0; g < 4; ++g) {
    out[g] = static_cast<std::uint8_t>(scales[g] | scales[g + 4] >> 4 << 6);
    out[g + 4] = static_cast<std::uint8_t>(offsets[g] | offsets[g + 4] >> 4 << 6);
    out[g + 8] = static_cast<std::uint8_t>((scales[g + 4] & 15) | (offsets[g + 4] & 15) << 4);
  }
}

BALLAST_EVERYWHERE inline void GetSixBits(const std::uint8_t* in, int* scales, int* offsets) {
  for (int g = 0; g < 4; ++g) {
    scales[g] = in[g] & 63;
    offsets[g] = in[g + 4] & 63;
    scales[g + 4] = (in[g + 8] & 15) | in[g] >> 6 << 4;
    offsets[g + 4] = in[g + 8] >> 4 | in[g + 4] >> 6 << 4;
  }
}

// Six bits each of 16 scales, 32 more than they are.
BALLAST_EVERYWHERE inline void PutRaised(const int* scales, std::uint8_t* out) {
  for (int i = 0; i < 12; ++i) out[i] = 0;
  for (int g = 0; g < 16; ++g) {
    const int raised = scales[g] + 32;
    out[g % 8] |= static_cast<std::uint8_t>((raised & 15) << 4 * (g / 8));
    out[8 + g % 4] |= static_cast<std::uint8_t>(raised >> 4 << 2 * (g / 4));
  }
}

BALLAST_EVERYWHERE inline void GetRaised(const std::uint8_t* in, int* scales) {
  for (int g = 0; g < 16; ++g) {
    const int low = in[g % 8] >> 4 * (g / 8) & 15;
    scales[g] = (low | (in[8 + g % 4] >> 2 * (g / 4) & 3) << 4) - 32;
  }
}

template <int kBits>
BALLAST_EVERYWHERE void PutMultiples(const int* scales, const int* offsets, std::uint8_t* out) {
  if constexpr (kBits == 2) {
    for (int g = 0; g < 16; ++g) out[g] = static_cast<std::uint8_t>(scales[g] | offsets[g] << 4);
  } else if constexpr (kBits == 3) {
    PutRaised(scales, out);
  } else if constexpr (kBits == 6) {
    for (int g = 0; g < 16; ++g) out[g] = static_cast<std::uint8_t>(scales[g]);
  } else {
    PutSixBits(scales, offsets, out);
  }
}

template <int kBits>
BALLAST_EVERYWHERE void GetMultiples(const std::uint8_t* in, int* scales, int* offsets) {
  if constexpr (kBits == 2) {
    for (int g = 0; g < 16; ++g) scales[g] = in[g] & 15, offsets[g] = in[g] >> 4;
  } else if constexpr (kBits == 3) {
    GetRaised(in, scales);
  } else if constexpr (kBits == 6) {
    for (int g = 0; g < 16; ++g) scales[g] = static_cast<std::int8_t>(in[g]);
  } else {
    GetSixBits(in, scales, offsets);
  }
}

// ---- Codes ----

template <class F>
BALLAST_EVERYWHERE void ForPlane(const CodePlane& plane, F f) {
  if (plane.bits == 0) return;
  const int chunk = plane.span * 8 / plane.bits;
  for (int j = 0; j < kColumns; ++j) {
    f(j, plane.offset + plane.span * (j / chunk) + j % plane.span,
      plane.bits * (j % chunk / plane.span));
  }
}

}  // namespace super_block

// One super-block of codes, and of scales and zeros that lie on steps (SuperScalesParams); where
// they do not, the steps are NaN.
template <int kBits>
BALLAST_EVERYWHERE void PackSuperBlock(const std::uint8_t* codes, const float* scales,
                                       const float* zeros, std::uint8_t* out) {
  using namespace super_block;
  constexpr SuperBlockBytes bytes = SuperBlockBytesOf<kBits>();
  constexpr SuperBlock super = SuperBlockOf(kBits);
  constexpr int groups = kColumns / static_cast<int>(super.group_size);
  for (int i = 0; i < bytes.size; ++i) out[i] = 0;
  ForPlane(bytes.low, [=](int j, int byte, int shift) {
    out[byte] |= static_cast<std::uint8_t>((codes[j] & ((1 << bytes.low.bits) - 1)) << shift);
  });
  ForPlane(bytes.high, [=](int j, int byte, int shift) {
    out[byte] |= static_cast<std::uint8_t>(codes[j] >> bytes.low.bits << shift);
  });
  const Multiples of_scales = FindMultiples(scales, groups, super.most,
                                            [=](int g, float value) { return value == scales[g]; });
  PutHalf(of_scales.step, out + bytes.steps);
  Multiples of_offsets;
  if constexpr (!super.symmetric) {
    float offsets[kMostGroups];
    for (int g = 0; g < groups; ++g) offsets[g] = scales[g] * zeros[g];
    of_offsets = FindMultiples(offsets, groups, super.most,
                               [=](int g, float value) { return value / scales[g] == zeros[g]; });
    PutHalf(of_offsets.step, out + bytes.steps + 2);
  }
  PutMultiples<kBits>(of_scales.of, of_offsets.of, out + bytes.multiples);
}

// The inverse; a zero is the float32 quotient of its offset and scale.
template <int kBits>
BALLAST_EVERYWHERE void UnpackSuperBlock(const std::uint8_t* in, std::uint8_t* codes, float* scales,
                                         float* zeros) {
  using namespace super_block;
  constexpr SuperBlockBytes bytes = SuperBlockBytesOf<kBits>();
  constexpr SuperBlock super = SuperBlockOf(kBits);
  constexpr int groups = kColumns / static_cast<int>(super.group_size);
  ForPlane(bytes.low, [=](int j, int byte, int shift) {
    codes[j] = static_cast<std::uint8_t>(in[byte] >> shift & ((1 << bytes.low.bits) - 1));
  });
  ForPlane(bytes.high, [=](int j, int byte, int shift) {
    const int high = in[byte] >> shift & ((1 << bytes.high.bits) - 1);
    codes[j] |= static_cast<std::uint8_t>(high << bytes.low.bits);
  });
  int of_scales[kMostGroups] = {}, of_offsets[kMostGroups] = {};
  GetMultiples<kBits>(in + bytes.multiples, of_scales, of_offsets);
  const float scale_step = GetHalf(in + bytes.steps);
  const float offset_step = super.symmetric ? 0 : GetHalf(in + bytes.steps + 2);
  for (int g = 0; g < groups; ++g) {
    scales[g] = scale_step * static_cast<float>(of_scales[g]);
    const float offset = offset_step * static_cast<float>(of_offsets[g]);
    const bool none = scales[g] == 0 || offset == 0;
    zeros[g] =
        super.symmetric ? static_cast<float>(1 << (kBits - 1)) : (none ? 0 : offset / scales[g]);
  }
}

}  // namespace ballast
