// bfloat16 products with AMX. The layouts are those of the vector kernels: a tile is 32 rows × 16
// columns in two tile registers, and half of a panel. Strips and panels are zero beyond the depth
// up to a whole step.
//
// Two threads of a core share its physical tile registers. Where both run, few are left to rename
// to, and what limits a product is how many registers hold a value at any time: so a tile has two
// of them and not four, and a register that was read for the last time is set to zero, which gives
// it back. That is twice as fast there, and as fast where a thread has a core for itself.
#include "native/cpu/kernels/bfloat16_words.h"
#include "native/cpu/kernels/split.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

constexpr std::int64_t kTileRows = 16;
constexpr std::int64_t kTileColumns = 16;
constexpr std::int64_t kStep = 16;  // words in a row of a tile
constexpr std::int64_t kTileBytes = kTileColumns * 4;
constexpr std::int64_t kBlockColumns = 256;

struct alignas(64) TileConfiguration {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16};
};

// Static, since compilers believe that loading it reads its first bytes only.
constexpr TileConfiguration kTiles = {};

struct Span {
  std::int64_t begin, end;
};

struct AmxKernel : BFloat16Words {
  static constexpr std::int64_t kRows = 2 * kTileRows;
  static constexpr std::int64_t kDepth = 1024;
  static constexpr std::int64_t kBandRows = 512;
  // A strip is multiplied with all panels a stretch of its words after the other: what a stretch
  // takes of a strip and of a panel, 16 KiB each, stays in the level-1 cache.
  static constexpr std::int64_t kStretch = 128;

  // Rows that are packed next, two for each of a block's tiles.
  class Fetched {
   public:
    Fetched(const Upcoming& upcoming, std::int64_t words)
        : upcoming_(upcoming), bytes_(upcoming.bytes * kStep / (words + 1) + 1) {}

    // What falls to this step of the tile at `column`.
    void At(std::int64_t column, std::int64_t k) const {
      constexpr std::int64_t kLineBytes = 64;
      const std::int64_t first = column / kTileColumns * 2;
      for (std::int64_t row = first; row < first + 2 && row < upcoming_.rows; ++row) {
        const std::byte* next = upcoming_.data + row * upcoming_.stride + k / kStep * bytes_;
        for (std::int64_t i = 0; i < bytes_; i += kLineBytes) __builtin_prefetch(next + i, 0, 2);
      }
    }

   private:
    const Upcoming& upcoming_;
    std::int64_t bytes_;  // a step
  };

  // sums += strip · panel over some words. Rows that are not there are computed where they share a
  // tile register: they are finite or not, but never moved.
  template <bool kTall>
  static void Multiply(const float* strip, const float* panel, Span words, float* sums,
                       const Fetched& fetched, std::int64_t column) {
    constexpr std::int64_t kStripStride = Gemm<AmxKernel>::kStripStride;
    constexpr std::int64_t kStripBytes = kStripStride * 4;
    constexpr std::int64_t kPanelBytes = kPanel * 4;
    float* low = sums + kTileRows * kTileColumns;
    if (words.begin == 0) {
      _tile_zero(0);
      if constexpr (kTall) _tile_zero(1);
    } else {
      _tile_loadd(0, sums, kTileBytes);
      if constexpr (kTall) _tile_loadd(1, low, kTileBytes);
    }
    for (std::int64_t k = words.begin; k < words.end; k += kStep) {
      fetched.At(column, k);
      _tile_loadd(4, panel + k * kPanel, kPanelBytes);
      _tile_loadd(2, strip + k, kStripBytes);
      _tile_dpbf16ps(0, 2, 4);
      _tile_zero(2);
      if constexpr (kTall) {
        _tile_loadd(3, strip + kTileRows * kStripStride + k, kStripBytes);
        _tile_dpbf16ps(1, 3, 4);
        _tile_zero(3);
      }
      _tile_zero(4);
    }
    _tile_stored(0, sums, kTileBytes);
    if constexpr (kTall) _tile_stored(1, low, kTileBytes);
  }

  static void Fetch(const Destination& to, std::int64_t column) {
    for (std::int64_t r = 0; r < to.rows; ++r) {
      __builtin_prefetch(to.out + r * to.stride + column, 1);
    }
  }

  static void Move(const float* sums, const Destination& to, std::int64_t column) {
    if (IsCut(to, column, kTileColumns)) return MovePart(sums, kTileColumns, to, column);
    for (std::int64_t r = 0; r < to.rows; ++r) {
      Write(to.out + r * to.stride + column, Load<Floats>(sums + r * kTileColumns), to.update);
    }
  }

  static void MultiplyBlock(const float* strip, const Panels& panels, const Destination& to,
                            const Upcoming& upcoming) {
    alignas(64) float sums[kRows * kBlockColumns];  // a tile after the other
    const Fetched fetched(upcoming, panels.words);
    const bool tall = to.rows > kTileRows;
    _tile_loadconfig(&kTiles);
    for (Span words{0, 0}; words.end < panels.words; words.begin = words.end) {
      const std::int64_t left = panels.words - words.begin;
      words.end = words.begin + (left < kStretch ? left : kStretch);
      for (std::int64_t j = 0; j < to.columns; j += kTileColumns) {
        if (IsBelowDiagonal(to, j, kTileColumns)) continue;
        const float* panel = panels.At(j / kPanel * kPanel) + j % kPanel;
        float* tile = sums + j * kRows;
        if (words.end == panels.words) Fetch(to, j);
        if (tall) {
          Multiply<true>(strip, panel, words, tile, fetched, j);
        } else {
          Multiply<false>(strip, panel, words, tile, fetched, j);
        }
        if (words.end == panels.words) Move(tile, to, j);
      }
    }
    _tile_release();
  }
};

}  // namespace

BFloat16Kernels MakeBFloat16Kernels() { return TablesOf<AmxKernel>(kBlockColumns); }

}  // namespace ballast::cpu::BALLAST_ISA
