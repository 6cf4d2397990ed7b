// Words of two bfloat16 numbers, neighbours along the depth, the first one low. Subnormal numbers
// become zero, as they do in the products.
#pragma once

#include "native/cpu/kernels/vector.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

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

 private:
  static Floats Interleaved(Floats low, Floats high) {
    const __m512i low_words =
        _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(low)));
    const __m512i high_words =
        _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(high)));
    return reinterpret_cast<Floats>(_mm512_or_si512(low_words, _mm512_slli_epi32(high_words, 16)));
  }
};

}  // namespace
}  // namespace ballast::cpu::BALLAST_ISA
