// What the products of all element types share: packing a strip and a block of words, and the walk
// over a block's panels. A kernel is a struct with
//   kRows, kDepth           rows of a strip and depth of a pass, in elements
//   kFetched                rows that a tile fetches, so that the tiles of a block fetch a strip
//   kPerWord                elements in a 32-bit word (2 for bfloat16)
//   Along(window, r, c)     words of window row r along its columns, from word c on
//   Across(window, r, c)    words that run across rows, word row r, from column c on
//   Multiply<rows>(strip, panel, words, tile)    tile = strip · panel, or added to or taken from it
//   Begin(), End()          around a run of tiles
// Layout: strip[row][word] with a constant row stride, so that all addresses of a tile's rows are
// constant offsets; panel[word][column].
#pragma once

#include "native/cpu/kernels/packing.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

constexpr std::int64_t kPanel = 2 * kLanes;

constexpr std::int64_t RoundUp(std::int64_t n, std::int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// Rows that a tile fetches beside its own work, each during an equal part of its words.
struct Stream {
  static constexpr int kMostRows = 4;
  const std::byte* rows[kMostRows];
  std::int64_t pace;  // bytes a word
};

struct Tile {
  float* out;
  std::int64_t stride;
  Update update;
  Stream stream;
};

// step(k) for every kWords-th word of the depth, in order.
template <int kRows, std::int64_t kWords, class Step>
inline void ForEachWord(std::int64_t words, const Stream& stream, const Step& step) {
  static_assert(kRows <= Stream::kMostRows);
  constexpr std::int64_t kLineBytes = 64;
  const std::int64_t bytes = kWords * stream.pace;
  std::int64_t k = 0;
  for (int part = 0; part < kRows; ++part) {
    const std::int64_t end = part + 1 < kRows ? words * (part + 1) / kRows : words;
    for (const std::byte* next = stream.rows[part]; k < end; k += kWords, next += bytes) {
      __builtin_prefetch(next, 0, 2);
      if constexpr (kWords > 1) {
        for (std::int64_t line = kLineBytes; line < bytes; line += kLineBytes) {
          __builtin_prefetch(next + line, 0, 2);
        }
      }
      step(k);
    }
  }
}

inline void Write(float* out, Floats sum, Update update) {
  if (update == Update::kAdd) sum = Load<Floats>(out) + sum;
  if (update == Update::kSubtract) sum = Load<Floats>(out) - sum;
  Store(out, sum);
}

// The view of a product that takes its operands whole.
constexpr auto AsItIs = [](const auto& window) -> const auto& { return window; };

template <class Kernel>
struct Gemm {
  static constexpr std::int64_t kWords = Kernel::kDepth / Kernel::kPerWord;
  // Not a power of two: the rows of a strip fall into different cache sets.
  static constexpr std::int64_t kStripStride = kWords + 16;

  static constexpr std::int64_t Words(std::int64_t depth) {
    return (depth + Kernel::kPerWord - 1) / Kernel::kPerWord;
  }
  static constexpr std::int64_t PanelWords(std::int64_t depth) {
    return RoundUp(Words(depth), kLanes);
  }

  // The words of a strip; view(window) is what is packed of a window.
  template <class View>
  static void PackRows(const Operand& a, const Range& range, const View& view, float* out) {
    const std::int64_t words = PanelWords(range.depth);
    // Rows that lie along memory are fetched by the tiles of the strip before.
    const std::int64_t step = a.depth_contiguous ? 0 : Kernel::kRows;
    WithWindow(a, range, step, [&](const auto& whole) {
      const auto& window = view(whole);
      if (a.depth_contiguous) {
        const auto word = [&](std::int64_t r, std::int64_t c) {
          return Kernel::Along(window, r, c);
        };
        Copy(range.items, words, word, out, kStripStride);
      } else {
        const auto word = [&](std::int64_t r, std::int64_t c) {
          return Kernel::Across(window, r, c);
        };
        Transpose(words, range.items, word, out, kStripStride);
      }
    });
  }

  // The words of some of a block's panels, which lie panel_words apart.
  template <class View>
  static void PackPanels(const Operand& b, const Range& range, std::int64_t begin, std::int64_t end,
                         const View& view, std::int64_t panel_words, float* block) {
    const std::int64_t words = PanelWords(range.depth);
    for (std::int64_t j = begin; j < end; j += kPanel) {
      Range part = range;
      part.first += j;
      part.items = end - j < kPanel ? end - j : kPanel;
      float* out = block + j * panel_words;
      WithWindow(b, part, kPanel, [&](const auto& whole) {
        const auto& window = view(whole);
        if (b.depth_contiguous) {
          const auto word = [&](std::int64_t r, std::int64_t c) {
            return Kernel::Along(window, r, c);
          };
          Transpose(kPanel, words, word, out, kPanel);
        } else {
          const auto word = [&](std::int64_t r, std::int64_t c) {
            return Kernel::Across(window, r, c);
          };
          Copy(words, kPanel, word, out, kPanel);
        }
      });
    }
  }

  static std::int64_t PanelBytes(std::int64_t depth) { return PanelWords(depth) * kPanel * 4; }
  static void PackStrip(const Operand& a, const Range& range, void* strip) {
    PackRows(a, range, AsItIs, static_cast<float*>(strip));
  }
  static void PackBlock(const Operand& b, const Range& range, std::int64_t begin, std::int64_t end,
                        void* block) {
    PackPanels(b, range, begin, end, AsItIs, PanelWords(range.depth), static_cast<float*>(block));
  }

  // C arrives while the tile is computed; else its last loads and stores would wait for memory.
  static void Fetch(std::int64_t rows, const Tile& tile) {
    constexpr std::int64_t kLineFloats = 16;
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t j = 0; j < kPanel; j += kLineFloats) {
        __builtin_prefetch(tile.out + r * tile.stride + j, 1);
      }
    }
  }

  // The rows that fall to a panel; where there are no more, the strip, which is at hand.
  static Stream StreamFor(const Upcoming& upcoming, std::int64_t panel, const float* strip,
                          std::int64_t pace) {
    Stream stream;
    stream.pace = pace;
    for (int i = 0; i < Kernel::kFetched; ++i) {
      const std::int64_t row = panel * Kernel::kFetched + i;
      stream.rows[i] = row < upcoming.rows ? upcoming.data + row * upcoming.stride
                                           : reinterpret_cast<const std::byte*>(strip);
    }
    return stream;
  }

  // The tile of the fewest rows, of three heights, that covers `rows`.
  static void RunTile(std::int64_t rows, const float* strip, const float* panel, std::int64_t words,
                      const Tile& tile) {
    Fetch(rows, tile);
    if (rows == 1) {
      Kernel::template Multiply<1>(strip, panel, words, tile);
    } else if (rows <= Kernel::kRows / 2) {
      Kernel::template Multiply<Kernel::kRows / 2>(strip, panel, words, tile);
    } else {
      Kernel::template Multiply<Kernel::kRows>(strip, panel, words, tile);
    }
  }

  // A tile that crosses an edge or the diagonal is made aside; its part that belongs to C is moved.
  static void RunPartialTile(const float* strip, const float* panel, std::int64_t words,
                             const Destination& to, std::int64_t column, const Stream& stream) {
    alignas(64) float aside[Kernel::kRows * kPanel];
    RunTile(to.rows, strip, panel, words, {aside, kPanel, Update::kStore, stream});
    const std::int64_t left = to.columns - column;
    const std::int64_t columns = left < kPanel ? left : kPanel;
    for (std::int64_t r = 0; r < to.rows; ++r) {
      const std::int64_t diagonal = to.upper ? r - to.diagonal - column : 0;
      float* out = to.out + r * to.stride + column;
      const float* sum = aside + r * kPanel;
      for (std::int64_t j = diagonal > 0 ? diagonal : 0; j < columns; ++j) {
        if (to.update == Update::kStore) out[j] = sum[j];
        if (to.update == Update::kAdd) out[j] += sum[j];
        if (to.update == Update::kSubtract) out[j] -= sum[j];
      }
    }
  }

  static bool IsWholeTile(std::int64_t rows) {
    return rows == Kernel::kRows || rows == Kernel::kRows / 2 || rows == 1;
  }

  static void MultiplyWords(const void* strip, const void* block, std::int64_t words,
                            std::int64_t panel_words, const Destination& to,
                            const Upcoming& upcoming) {
    const float* a = static_cast<const float*>(strip);
    const float* panel = static_cast<const float*>(block);
    const std::int64_t pace = upcoming.bytes * Kernel::kFetched / (words + 1) + 1;
    Kernel::Begin();
    for (std::int64_t j = 0; j < to.columns; j += kPanel, panel += panel_words * kPanel) {
      if (to.upper && j + kPanel - 1 + to.diagonal < 0) continue;
      const Stream stream = StreamFor(upcoming, j / kPanel, a, pace);
      const bool crossed = to.upper && j + to.diagonal < to.rows - 1;
      if (crossed || j + kPanel > to.columns || !IsWholeTile(to.rows)) {
        RunPartialTile(a, panel, words, to, j, stream);
      } else {
        RunTile(to.rows, a, panel, words, {to.out + j, to.stride, to.update, stream});
      }
    }
    Kernel::End();
  }

  static void Multiply(const void* strip, const void* block, std::int64_t depth,
                       const Destination& to, const Upcoming& upcoming) {
    MultiplyWords(strip, block, Words(depth), PanelWords(depth), to, upcoming);
  }

  static GemmKernels Table(std::int64_t block_columns) {
    return {
        .strip_rows = Kernel::kRows,
        .panel_columns = kPanel,
        .block_columns = block_columns,
        .depth = Kernel::kDepth,
        .strip_bytes = RoundUp(Kernel::kRows, kLanes) * kStripStride * 4,
        .block_bytes = block_columns * kWords * 4,
        .panel_bytes = PanelBytes,
        .pack_strip = PackStrip,
        .pack_block = PackBlock,
        .multiply = Multiply,
    };
  }
};

}  // namespace
}  // namespace ballast::cpu::BALLAST_ISA
