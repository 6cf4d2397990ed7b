// float32 products by bfloat16 ones (Henry, Tang and Heinecke, Leveraging the bfloat16 Artificial
// Intelligence Datatype for Higher-Precision Computations, 2019). A number is its nearest bfloat16,
// that of the rest, and that of what remains: a = h + m + l exactly, |m| <= 2⁻⁸|a|, |l| <= 2⁻¹⁷|a|.
//   six products    a·b ≈ lh' + hl' + mm' + mh' + hm' + hh'    lacks at most 2⁻²⁴|a·b|
//   three products  a·b ≈ mh' + hm' + hh'                      lacks at most 2⁻¹⁵|a·b|
//   two products    a·b ≈ am' + ah' for a bfloat16 a           lacks at most 2⁻¹⁷|a·b|
// Strips and panels hold the parts one after the other along the depth, and a tile sums all
// products, the small ones first or apart. What a sum over n is off by, next to Σ|a·b|:
//   six products    2⁻²⁴·(1 + 1.1·(min(n, 320) + n/320)), also where fewer are left of them
//   three products  2⁻¹⁵ + 2⁻²⁴·1.1·(min(n, 512) + n/512)
//   two products    2⁻¹⁷ + 2⁻²⁴·1.1·(min(n, 512) + n/512)
//   multiply-adds   2⁻²⁴·(min(n, 512) + n/512), which is 2⁻¹⁵ from n = 512 on
// Below the normal numbers bfloat16 products know zero alone: besides, 2⁻¹²⁴·Σ(|a| + |b| + 6).
#pragma once

#include "native/cpu/kernels/bfloat16_words.h"
#include "native/cpu/kernels/gemm.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

// Numbers beyond the largest bfloat16 would round to infinity.
inline Floats WithinBfloat(Floats x) {
  const Floats largest = Splat(0x1.fep127f);
  return Min(largest, Max(-largest, x));
}

// The words of all parts, each made of what those before it leave of the numbers. An infinity is in
// the last part alone, which meets h' only: so it keeps its sign.
template <int kParts, class Word, class Numbers>
inline Words<kParts> WordsOfParts(TwoVectors rest, const Word& word, const Numbers& numbers) {
  Words<kParts> words;
  for (int part = 0; part + 1 < kParts; ++part) {
    words.part[part] = word({WithinBfloat(rest.first), WithinBfloat(rest.second)});
    const TwoVectors taken = numbers(words.part[part]);
    rest.first -= taken.first;
    rest.second -= taken.second;
  }
  words.part[kParts - 1] = word(rest);
  return words;
}

template <int kNumberParts>
struct NumbersInParts {
  static constexpr int kParts = kNumberParts;

  template <class Kernel, class Window>
  static Words<kParts> Along(const Window& window, std::int64_t row, std::int64_t column) {
    return WordsOfParts<kParts>(
        {window.At(row, 2 * column), window.At(row, 2 * column + kLanes)},
        [](const TwoVectors& numbers) { return Kernel::Along(numbers, 0, 0); },
        Kernel::NumbersAlong);
  }
  template <class Kernel, class Window>
  static Words<kParts> Across(const Window& window, std::int64_t row, std::int64_t column) {
    return WordsOfParts<kParts>(
        {window.At(2 * row, column), window.At(2 * row + 1, column)},
        [](const TwoVectors& numbers) { return Kernel::Across(numbers, 0, 0); },
        Kernel::NumbersAcross);
  }
};

// Which part of each factor a product takes: 0 is h, 1 is m, 2 is l. The last one is hh'; as far as
// may be, a product shares a factor with the one before.
struct ThreeProducts {
  using Left = NumbersInParts<2>;
  using Right = NumbersInParts<2>;
  static constexpr int kProducts = 3;
  static constexpr int kLeft[] = {1, 0, 0};
  static constexpr int kRight[] = {0, 1, 0};
};
struct SixProducts {
  using Left = NumbersInParts<3>;
  using Right = NumbersInParts<3>;
  static constexpr int kProducts = 6;
  static constexpr int kLeft[] = {2, 1, 1, 0, 0, 0};
  static constexpr int kRight[] = {0, 0, 1, 1, 2, 0};
};
// Those of the six that are left where the right factor is a float16: 11 digits, hence h' + m'.
struct ByFloat16 {
  using Left = NumbersInParts<3>;
  using Right = NumbersInParts<2>;
  static constexpr int kProducts = 5;
  static constexpr int kLeft[] = {2, 1, 1, 0, 0};
  static constexpr int kRight[] = {0, 0, 1, 1, 0};
};
// Where it is a bfloat16, h' alone.
struct ByBFloat16 {
  using Left = NumbersInParts<3>;
  using Right = WholeNumbers;
  static constexpr int kProducts = 3;
  static constexpr int kLeft[] = {2, 1, 0};
  static constexpr int kRight[] = {0, 0, 0};
};
// Where the left one is.
struct OfBFloat16 {
  using Left = WholeNumbers;
  using Right = NumbersInParts<3>;
  static constexpr int kProducts = 3;
  static constexpr int kLeft[] = {0, 0, 0};
  static constexpr int kRight[] = {2, 1, 0};
};
// The same, where the right one's last part may be left out.
struct TwoProducts {
  using Left = WholeNumbers;
  using Right = NumbersInParts<2>;
  static constexpr int kProducts = 2;
  static constexpr int kLeft[] = {0, 0};
  static constexpr int kRight[] = {1, 0};
};

// All that is made of bfloat16 products.
template <class Kernel>
BFloat16Kernels TablesOf(std::int64_t block_columns) {
  return {.rounded = Gemm<Kernel>::Table(block_columns),
          .two_products = Gemm<Kernel, TwoProducts>::Table(block_columns),
          .three_products = Gemm<Kernel, ThreeProducts>::Table(block_columns),
          .six_products = Gemm<Kernel, SixProducts>::Table(block_columns),
          .by_float16 = Gemm<Kernel, ByFloat16>::Table(block_columns),
          .by_bfloat16 = Gemm<Kernel, ByBFloat16>::Table(block_columns),
          .of_bfloat16 = Gemm<Kernel, OfBFloat16>::Table(block_columns)};
}

}  // namespace
}  // namespace ballast::cpu::BALLAST_ISA
