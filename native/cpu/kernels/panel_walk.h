// A strip times the panels of a block, one after the other, with the sums of a tile in vector
// registers. A kernel is one of gemm.h and has besides
//   kFetched                rows that a tile fetches, so that the tiles of a block fetch a strip
//   kUnrolled               words that its loop takes at once
//   Multiply<rows, Factors>(strip, panel, depth, tile)    tile = strip · panel, or added to it, or
//                                                         taken from it
#pragma once

#include "native/cpu/kernels/gemm.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

// Rows that a tile fetches beside its own work, each during an equal part of its words.
struct Stream {
  static constexpr int kMostRows = 2;
  const std::byte* rows[kMostRows];
  std::int64_t pace;  // bytes a word
};

struct Depth {
  std::int64_t words;
  std::int64_t part;  // words between the parts of numbers
};

struct Tile {
  float* out;
  std::int64_t stride;
  Update update;
  Stream stream;
};

// step(k) for every word of the depth, in order.
template <class Kernel, class Step>
inline void ForEachWord(std::int64_t words, const Stream& stream, const Step& step) {
  constexpr std::int64_t kUnrolled = Kernel::kUnrolled;
  constexpr int kFetched = Kernel::kFetched;
  static_assert(kFetched <= Stream::kMostRows);
  std::int64_t k = 0;
  for (int part = 0; part < kFetched; ++part) {
    const std::int64_t end = part + 1 < kFetched ? words * (part + 1) / kFetched : words;
    const std::byte* next = stream.rows[part];
    for (; k + kUnrolled <= end; k += kUnrolled, next += kUnrolled * stream.pace) {
      __builtin_prefetch(next, 0, 2);
#pragma GCC unroll 4
      for (std::int64_t i = 0; i < kUnrolled; ++i) step(k + i);
    }
    for (; k < end; ++k) step(k);
  }
}

template <int kRows>
inline void WriteTile(const Floats (&sum)[kRows][2], const Tile& tile) {
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    Write(tile.out + r * tile.stride, sum[r][0], tile.update);
    Write(tile.out + r * tile.stride + kLanes, sum[r][1], tile.update);
  }
}

template <class Kernel>
struct PanelWalk {
  // C arrives while the tile is computed; else its last loads and stores would wait for memory.
  static void Fetch(std::int64_t rows, const Tile& tile) {
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
  template <class Factors>
  static void RunTile(std::int64_t rows, const float* strip, const float* panel, const Depth& depth,
                      const Tile& tile) {
    Fetch(rows, tile);
    if (rows == 1) {
      Kernel::template Multiply<1, Factors>(strip, panel, depth, tile);
    } else if (rows <= Kernel::kRows / 2) {
      Kernel::template Multiply<Kernel::kRows / 2, Factors>(strip, panel, depth, tile);
    } else {
      Kernel::template Multiply<Kernel::kRows, Factors>(strip, panel, depth, tile);
    }
  }

  static bool IsWholeTile(std::int64_t rows) {
    return rows == Kernel::kRows || rows == Kernel::kRows / 2 || rows == 1;
  }

  template <class Factors>
  static void MultiplyBlock(const float* strip, const Panels& panels, const Destination& to,
                            const Upcoming& upcoming) {
    const Depth depth = {panels.words, panels.part};
    const std::int64_t pace = upcoming.bytes * Kernel::kFetched / (panels.words + 1) + 1;
    for (std::int64_t j = 0; j < to.columns; j += kPanel) {
      if (IsBelowDiagonal(to, j, kPanel)) continue;
      const float* panel = panels.At(j);
      const Stream stream = StreamFor(upcoming, j / kPanel, strip, pace);
      if (IsCut(to, j, kPanel) || !IsWholeTile(to.rows)) {
        alignas(64) float sums[Kernel::kRows * kPanel];
        RunTile<Factors>(to.rows, strip, panel, depth, {sums, kPanel, Update::kStore, stream});
        MovePart(sums, kPanel, to, j);
      } else {
        RunTile<Factors>(to.rows, strip, panel, depth, {to.out + j, to.stride, to.update, stream});
      }
    }
  }
};

}  // namespace
}  // namespace ballast::cpu::BALLAST_ISA
