// The arithmetic of a tensor core: a few products of bfloat16 numbers are added to a float32 sum
// without rounding, and the result is cut to float32.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace emulation {

// Element i (0 or 1) of two bfloat16 numbers in a word.
inline double ElementOf(std::uint32_t word, int i) {
  const std::uint32_t bits = i == 0 ? word << 16 : word & 0xffff0000u;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Both elements of a word are finite.
inline bool IsFinite(std::uint32_t word) {
  return (word & 0x7f80u) != 0x7f80u && (word & 0x7f800000u) != 0x7f800000u;
}

inline float Cut(double x) {
  const auto rounded = static_cast<float>(x);
  const bool beyond = std::isfinite(rounded) && std::fabs(rounded) > std::fabs(x);
  return beyond ? std::nextafter(rounded, 0.0f) : rounded;
}

}  // namespace emulation
