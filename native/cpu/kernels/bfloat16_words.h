// Words of two bfloat16 numbers, neighbours along the depth, the first one low. Subnormal numbers
// become zero, as they do in the products.
#pragma once

#include "native/cpu/kernels/float_formats.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

// Two vectors of numbers as a window, of which a kernel makes one vector of words.
struct TwoVectors {
  Floats first, second;

  Floats At(std::int64_t row, std::int64_t column) const {
    return row + column == 0 ? first : second;
  }
};

struct BFloat16Words {
  static constexpr std::int64_t kPerWord = 2;

  template <class Window>
  static Floats Along(const Window& window, std::int64_t row, std::int64_t column) {
    if constexpr (requires { WordsAt(window, row, column); }) {
      return WordsAt(window, row, column);
    } else {
      return reinterpret_cast<Floats>(
          _mm512_cvtne2ps_pbh(window.At(row, 2 * column + kLanes), window.At(row, 2 * column)));
    }
  }

  template <class Window>
  static Floats Across(const Window& window, std::int64_t row, std::int64_t column) {
    return Interleaved(window.At(2 * row, column), window.At(2 * row + 1, column));
  }

  // The numbers of words that Along has made of two vectors; that Across has.
  static TwoVectors NumbersAlong(Floats words) {
    const auto halves = reinterpret_cast<__m512i>(words);
    const auto first = _mm512_castsi512_si256(halves);
    const auto second = _mm512_extracti64x4_epi64(halves, 1);
    return {FromBfloat(reinterpret_cast<Shorts>(first)),
            FromBfloat(reinterpret_cast<Shorts>(second))};
  }
  static TwoVectors NumbersAcross(Floats words) {
    const Ints bits = Bits(words);
    return {Bits(bits << 16), Bits(bits & static_cast<std::int32_t>(0xffff0000))};
  }

 private:
  static Floats Interleaved(Floats low, Floats high) {
    const auto apart = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
    const __m512i order = reinterpret_cast<__m512i>(BothHalves{
        0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31,
    });
    return reinterpret_cast<Floats>(_mm512_permutexvar_epi16(order, apart));
  }

  typedef std::uint16_t BothHalves __attribute__((vector_size(64)));
};

}  // namespace
}  // namespace ballast::cpu::BALLAST_ISA
