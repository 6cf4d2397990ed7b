// What the products of all element types share: packing a strip and a block of words. A kernel is a
// struct with
//   kRows, kDepth           rows of a strip and depth of a pass, in elements
//   kBandRows               rows whose strips stay in a level-2 cache, beside a block
//   kPerWord                elements in a 32-bit word (2 for bfloat16)
//   kStripsByRow            strip[row][word], as tiles of AMX are loaded; else strip[word][row], of
//                           which a tile reads one line after the other
//   Along(window, r, c)     words of window row r along its columns, from word c on
//   Across(window, r, c)    words that run across rows, word row r, from column c on
//   MultiplyBlock<Factors>(strip, panels, to, upcoming)    a strip times the panels of a block
// Factors says what is multiplied of strips and panels that hold numbers in several parts
// (split.h). Panels are panel[word][column]. Strides from word to word are constant, so that all
// addresses of a tile's rows are constant offsets.
#pragma once

#include <type_traits>

#include "native/cpu/kernels/packing.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

constexpr std::int64_t kPanel = 2 * kLanes;

constexpr std::int64_t RoundUp(std::int64_t n, std::int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// The panels of a block, `words` deep each, which lie `apart` words from one another; the parts of
// their numbers, like those of a strip's, lie `part` words from one another.
struct Panels {
  const float* first;
  std::int64_t words;
  std::int64_t apart;
  std::int64_t part;

  const float* At(std::int64_t column) const { return first + column * apart; }
};

inline void Write(float* out, Floats sum, Update update) {
  if (update == Update::kAdd) sum = Load<Floats>(out) + sum;
  if (update == Update::kSubtract) sum = Load<Floats>(out) - sum;
  Store(out, sum);
}

// Moves what belongs to C of a tile of sums that begins at `column` and crosses an edge or the
// diagonal.
inline void MovePart(const float* sums, std::int64_t columns, const Destination& to,
                     std::int64_t column) {
  const std::int64_t left = to.columns - column;
  const std::int64_t end = left < columns ? left : columns;
  for (std::int64_t r = 0; r < to.rows; ++r) {
    const std::int64_t diagonal = to.upper ? r - to.diagonal - column : 0;
    float* out = to.out + r * to.stride + column;
    const float* sum = sums + r * columns;
    for (std::int64_t j = diagonal > 0 ? diagonal : 0; j < end; ++j) {
      if (to.update == Update::kStore) out[j] = sum[j];
      if (to.update == Update::kAdd) out[j] += sum[j];
      if (to.update == Update::kSubtract) out[j] -= sum[j];
    }
  }
}

// Whether C takes nothing of a tile, whose columns begin at `column`; or not all of it.
inline bool IsBelowDiagonal(const Destination& to, std::int64_t column, std::int64_t columns) {
  return to.upper && column + columns - 1 + to.diagonal < 0;
}
inline bool IsCut(const Destination& to, std::int64_t column, std::int64_t columns) {
  return column + columns > to.columns || (to.upper && column + to.diagonal < to.rows - 1);
}

// Numbers that are held as they are.
struct WholeNumbers {
  static constexpr int kParts = 1;

  template <class Kernel, class Window>
  static Words<1> Along(const Window& window, std::int64_t row, std::int64_t column) {
    return {{Kernel::Along(window, row, column)}};
  }
  template <class Kernel, class Window>
  static Words<1> Across(const Window& window, std::int64_t row, std::int64_t column) {
    return {{Kernel::Across(window, row, column)}};
  }
};

// How strips (left) and panels (right) hold their numbers, and which parts are multiplied.
struct WholeFactors {
  using Left = WholeNumbers;
  using Right = WholeNumbers;
  static constexpr int kProducts = 1;
  static constexpr int kLeft[] = {0};
  static constexpr int kRight[] = {0};
};

template <class Kernel, class Factors = WholeFactors>
struct Gemm {
  using Left = Factors::Left;
  using Right = Factors::Right;
  // A pass is less deep by as much as numbers have parts, so working memory stays what it is.
  static constexpr int kParts = Left::kParts > Right::kParts ? Left::kParts : Right::kParts;
  static constexpr std::int64_t kWords = Kernel::kDepth / Kernel::kPerWord;
  static constexpr std::int64_t kDepth = kWords / kParts / kLanes * kLanes * Kernel::kPerWord;
  // Of a strip by words, from one to the next.
  static constexpr std::int64_t kStripStride = RoundUp(Kernel::kRows, kLanes);

  static constexpr std::int64_t WordsOf(std::int64_t depth) {
    return (depth + Kernel::kPerWord - 1) / Kernel::kPerWord;
  }
  // Of a part.
  static constexpr std::int64_t PanelWords(std::int64_t depth) {
    return RoundUp(WordsOf(depth), kLanes);
  }

  // Of a strip by rows, from one to the next, given the words of a part: not the power of two
  // that a deep strip's words come to, so that its rows fall into different cache sets.
  static constexpr std::int64_t RowStride(std::int64_t words) { return Left::kParts * words + 16; }
  static std::int64_t StripBytes(std::int64_t depth) {
    const std::int64_t words = PanelWords(depth);
    return 4 * (Kernel::kStripsByRow ? Kernel::kRows * RowStride(words)
                                     : Left::kParts * words * kStripStride);
  }
  static std::int64_t PanelBytes(std::int64_t depth) {
    return Right::kParts * PanelWords(depth) * kPanel * 4;
  }

  // The words of a window of an operand that Numbers makes, one for each item and word of depth,
  // fetched when what lies `ahead` elements before them is read. pack(along, word) packs them,
  // items being rows if `along`.
  template <class Numbers, class Pack>
  static void WithWords(const Operand& operand, const Range& range, std::int64_t ahead,
                        const Pack& pack) {
    WithWindow(operand, range, ahead, [&](const auto& window) {
      if (operand.depth_contiguous) {
        pack(std::true_type{}, [&](std::int64_t r, std::int64_t c) {
          return Numbers::template Along<Kernel>(window, r, c);
        });
      } else {
        pack(std::false_type{}, [&](std::int64_t r, std::int64_t c) {
          return Numbers::template Across<Kernel>(window, r, c);
        });
      }
    });
  }

  // Items begin … end−1 of a range in panels kWidth wide, a word's in whole vectors. Items that lie
  // along memory are read as they lie there, so several panels are written in turns.
  template <class Numbers, std::int64_t kWidth>
  static void PackPanels(const Operand& operand, const Range& range, std::int64_t begin,
                         std::int64_t end, std::int64_t ahead, float* panels) {
    constexpr int kParts = Numbers::kParts;
    constexpr std::int64_t kStride = RoundUp(kWidth, kLanes);
    const std::int64_t words = PanelWords(range.depth);
    const std::int64_t items = end - begin;
    const auto panel = [&](std::int64_t i) {
      float* out = panels + (begin + i) / kWidth * kStride * kParts * words;
      return Packed{out, kStride, words * kStride};
    };
    const Range packed = {range.first + begin, items, range.from, range.depth};
    WithWords<Numbers>(operand, packed, ahead, [&](auto along, const auto& word) {
      if constexpr (along) {
        for (std::int64_t i = 0; i < items; i += kWidth) {
          const auto item = [&](std::int64_t r, std::int64_t c) { return word(i + r, c); };
          Transpose<kParts>(kWidth, words, item, panel(i));
        }
      } else {
        for (std::int64_t w = 0; w < words; ++w) {
          for (std::int64_t i = 0; i < items; i += kWidth) {
            const auto item = [&](std::int64_t r, std::int64_t c) { return word(r, i + c); };
            CopyRow<kParts>(w, kWidth, item, panel(i));
          }
        }
      }
    });
  }

  static void PackStrips(const Operand& a, const Range& range, void* strips) {
    auto* const out = static_cast<float*>(strips);
    // Rows that lie along memory are fetched by the tiles of the strip before; those that are read
    // one after the other once more, since some of that is dropped.
    constexpr std::int64_t kRowsAhead = Kernel::kStripsByRow ? 2 : 0;
    const std::int64_t ahead = a.depth_contiguous ? kRowsAhead * a.stride : Kernel::kRows;
    if constexpr (Kernel::kStripsByRow) {
      for (std::int64_t i = 0; i < range.items; i += Kernel::kRows) {
        const std::int64_t left = range.items - i;
        const std::int64_t rows = left < Kernel::kRows ? left : Kernel::kRows;
        PackRows(a, {range.first + i, rows, range.from, range.depth}, ahead,
                 out + i / Kernel::kRows * StripBytes(range.depth) / 4);
      }
    } else {
      PackPanels<Left, Kernel::kRows>(a, range, 0, range.items, ahead, out);
    }
  }

  static void PackRows(const Operand& a, const Range& range, std::int64_t ahead, float* strip) {
    const std::int64_t words = PanelWords(range.depth);
    const Packed to = {strip, RowStride(words), words};
    WithWords<Left>(a, range, ahead, [&](auto along, const auto& word) {
      if constexpr (along) {
        for (std::int64_t r = 0; r < range.items; ++r) CopyRow<Left::kParts>(r, words, word, to);
      } else {
        Transpose<Left::kParts>(words, range.items, word, to);
      }
    });
  }

  static void PackBlock(const Operand& b, const Range& range, std::int64_t begin, std::int64_t end,
                        void* block) {
    constexpr std::int64_t kNumbersAhead = 32;
    constexpr std::int64_t kRowsAhead = 16;
    const std::int64_t ahead = b.depth_contiguous ? kNumbersAhead : kRowsAhead * b.stride;
    PackPanels<Right, kPanel>(b, range, begin, end, ahead, static_cast<float*>(block));
  }

  // A strip of items that panels hold in the same parts: of one panel from its column `first` on,
  // then of the next.
  static void TurnPanels(const void* panel, const void* next, std::int64_t first,
                         std::int64_t items, std::int64_t depth, void* strip) {
    const std::int64_t words = PanelWords(depth);
    const auto* const from = static_cast<const float*>(panel) + first;
    auto* const out = static_cast<float*>(strip);
    if constexpr (Kernel::kStripsByRow) {
      static_assert(Kernel::kRows == kPanel);
      const auto word = [&](std::int64_t r, std::int64_t c) {
        Words<kParts> all;
        for (int p = 0; p < kParts; ++p) {
          all.part[p] = Load<Floats>(from + (p * words + r) * kPanel + c);
        }
        return all;
      };
      Transpose<kParts>(words, kPanel, word, {out, RowStride(words), words});
    } else {
      static_assert(Kernel::kRows <= kLanes);
      const std::int64_t here = kPanel - first < items ? kPanel - first : items;
      const float* rest = static_cast<const float*>(next) - here;
      for (std::int64_t w = 0; w < kParts * words; ++w) {
        Floats word = LoadPart<Floats>(from + w * kPanel, here);
        if (here < items) {
          word = Bits(Bits(word) | Bits(LoadLanes<Floats>(rest + w * kPanel, here, items)));
        }
        Store(out + w * kStripStride, word);
      }
    }
  }

  static void Multiply(const void* strip, const void* block, std::int64_t packed,
                       std::int64_t depth, const Destination& to, const Upcoming& upcoming) {
    const std::int64_t part = PanelWords(packed);
    Kernel::template MultiplyBlock<Factors>(
        static_cast<const float*>(strip),
        {static_cast<const float*>(block), WordsOf(depth), Right::kParts * part, part}, to,
        upcoming);
  }

  static GemmKernels Table(std::int64_t block_columns) {
    return {
        .strip_rows = Kernel::kRows,
        .band_rows = Kernel::kBandRows,
        .panel_columns = kPanel,
        .block_columns = block_columns,
        .depth = kDepth,
        .per_word = Kernel::kPerWord,
        .block_bytes = block_columns * kWords * 4,
        .strip_bytes = StripBytes,
        .panel_bytes = PanelBytes,
        .pack_strips = PackStrips,
        .pack_block = PackBlock,
        .turn_panels = std::is_same_v<Left, Right> ? TurnPanels : nullptr,
        .multiply = Multiply,
    };
  }
};

}  // namespace
}  // namespace ballast::cpu::BALLAST_ISA
