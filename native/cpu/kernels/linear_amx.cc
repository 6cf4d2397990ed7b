// bfloat16 products with AMX. The layouts are those of the vector kernels; strips and panels are
// zero beyond the depth up to a whole step.
//
// Two threads of a core share its physical tile registers. Where both run, few are left to rename
// to, and what limits a product is how many registers hold a value at any time: so there are two of
// sums and not four, and a register that was read for the last time is set to zero, which gives it
// back. That is twice as fast there, and as fast where a thread has a core for itself.
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

// Rows that are packed next: two for each tile of 16 columns in a block, and of them what is as far
// down the depth as the words that are multiplied.
class Fetched {
 public:
  Fetched(const Upcoming& upcoming, std::int64_t words)
      : upcoming_(upcoming), bytes_(upcoming.bytes / (words + 1) + 1) {}

  void During(Span words, std::int64_t column) const {
    constexpr std::int64_t kLineBytes = 64;
    const std::int64_t first = column / kTileColumns * 2;
    for (std::int64_t row = first; row < first + 2 && row < upcoming_.rows; ++row) {
      const std::byte* data = upcoming_.data + row * upcoming_.stride;
      for (std::int64_t i = words.begin * bytes_; i < words.end * bytes_; i += kLineBytes) {
        __builtin_prefetch(data + i, 0, 2);
      }
    }
  }

 private:
  const Upcoming& upcoming_;
  std::int64_t bytes_;  // a word
};

struct AmxKernel : BFloat16Words {
  static constexpr std::int64_t kRows = 2 * kTileRows;
  static constexpr std::int64_t kDepth = 1024;
  static constexpr std::int64_t kBandRows = 512;
  static constexpr bool kStripsByRow = true;
  static constexpr std::int64_t kPanelBytes = kPanel * 4;

  // A strip is multiplied with all panels a stretch of its words after the other, so that what a
  // stretch takes of a strip and of half a panel stays in the level-1 cache. Between stretches sums
  // are kept aside: two tiles of 16 × 16 for each 16 rows and columns of a block.
  template <class Factors>
  static constexpr std::int64_t kStretch = Factors::kProducts == 1 ? 128 : 64;
  static constexpr std::int64_t kTile = kTileRows * kTileColumns;
  static constexpr std::int64_t kSums = 2 * kTile;

  static void Begin(bool first, const float* sums) {
    if (first) {
      _tile_zero(0);
      _tile_zero(1);
    } else {
      _tile_loadd(0, sums, kTileBytes);
      _tile_loadd(1, sums + kTile, kTileBytes);
    }
  }
  // Where sums go: two tiles of 16 × 16 aside, or 32 rows of C.
  struct Place {
    float* out;
    std::int64_t stride;
  };
  static Place Aside(float* sums) { return {sums, kTileColumns}; }

  static void End(const Place& place) {
    _tile_stored(0, place.out, place.stride * 4);
    _tile_stored(1, place.out + kTileRows * place.stride, place.stride * 4);
  }

  // A strip's words, its rows `stride` words from one another.
  struct Rows {
    const float* words;
    std::int64_t stride;

    Rows From(std::int64_t row, std::int64_t word) const {
      return {words + row * stride + word, stride};
    }
  };

  // A tile of 32 rows.
  static void MultiplyWhole(const Rows& strip, const float* panel, Span words, const float* sums,
                            const Place& place) {
    const std::int64_t row_bytes = strip.stride * 4;
    Begin(words.begin == 0, sums);
    for (std::int64_t k = words.begin; k < words.end; k += kStep) {
      _tile_loadd(4, panel + k * kPanel, kPanelBytes);
      _tile_loadd(2, strip.words + k, row_bytes);
      _tile_dpbf16ps(0, 2, 4);
      _tile_zero(2);
      _tile_loadd(3, strip.From(kTileRows, k).words, row_bytes);
      _tile_dpbf16ps(1, 3, 4);
      _tile_zero(3);
      _tile_zero(4);
    }
    End(place);
  }

  // A product of parts at step k. Register 0 sums the last product, 1 the small ones.
  template <class Factors, int i>
  static void MultiplyParts(const Rows& strip, const float* panel, std::int64_t part) {
    constexpr int kLeft = Factors::kLeft[i];
    constexpr int kRight = Factors::kRight[i];
    constexpr bool kLast = i + 1 == Factors::kProducts;
    if constexpr (i == 0 || kLeft != Factors::kLeft[i - (i > 0)]) {
      _tile_loadd(2, strip.words + kLeft * part, strip.stride * 4);
    }
    if constexpr (i == 0 || kRight != Factors::kRight[i - (i > 0)]) {
      _tile_loadd(3, panel + kRight * part * kPanel, kPanelBytes);
    }
    if constexpr (kLast) {
      _tile_dpbf16ps(0, 2, 3);
    } else {
      _tile_dpbf16ps(1, 2, 3);
    }
    if constexpr (kLast || kLeft != Factors::kLeft[i + !kLast]) _tile_zero(2);
    if constexpr (kLast || kRight != Factors::kRight[i + !kLast]) _tile_zero(3);
    if constexpr (!kLast) MultiplyParts<Factors, i + 1>(strip, panel, part);
  }

  // A tile of 16 rows.
  template <class Factors>
  static void MultiplyHalf(const Rows& strip, const float* panel, std::int64_t part, Span words,
                           float* sums) {
    Begin(words.begin == 0, sums);
    for (std::int64_t k = words.begin; k < words.end; k += kStep) {
      MultiplyParts<Factors, 0>(strip.From(0, k), panel + k * kPanel, part);
    }
    End(Aside(sums));
  }

  static void Fetch(const Destination& to, std::int64_t column) {
    for (std::int64_t r = 0; r < to.rows; ++r) {
      __builtin_prefetch(to.out + r * to.stride + column, 1);
    }
  }

  // 16 rows of sums, from `row` of the strip on, with the small products' where these are summed
  // apart.
  template <class Factors>
  static void Move(float* sums, const Destination& strip, std::int64_t row, std::int64_t column) {
    constexpr bool kApart = Factors::kProducts > 1;
    Destination to = strip;
    to.out += row * to.stride;
    to.rows = to.rows - row < kTileRows ? to.rows - row : kTileRows;
    to.diagonal -= row;
    const auto whole = [sums](std::int64_t i) {
      const Floats sum = Load<Floats>(sums + i);
      return kApart ? sum + Load<Floats>(sums + kTile + i) : sum;
    };
    if (IsCut(to, column, kTileColumns)) {
      for (std::int64_t i = 0; kApart && i < kTile; i += kLanes) Store(sums + i, whole(i));
      return MovePart(sums, kTileColumns, to, column);
    }
    for (std::int64_t r = 0; r < to.rows; ++r) {
      Write(to.out + r * to.stride + column, whole(r * kTileColumns), to.update);
    }
  }

  template <class Factors>
  static void MultiplyBlock(const float* strip, const Panels& panels, const Destination& to,
                            const Upcoming& upcoming) {
    constexpr bool kWhole = Factors::kProducts == 1;
    alignas(64) float all_sums[kBlockColumns / kTileColumns][2][kSums];
    const Fetched fetched(upcoming, panels.words);
    const Rows rows = {strip, Gemm<AmxKernel, Factors>::RowStride(panels.part)};
    _tile_loadconfig(&kTiles);
    Span words{0, 0};
    do {  // once even without depth, where sums are zeros
      words.begin = words.end;
      const std::int64_t left = panels.words - words.begin;
      words.end = words.begin + (left < kStretch<Factors> ? left : kStretch<Factors>);
      const bool last = words.end == panels.words;
      for (std::int64_t j = 0; j < to.columns; j += kTileColumns) {
        if (IsBelowDiagonal(to, j, kTileColumns)) continue;
        const float* panel = panels.At(j / kPanel * kPanel) + j % kPanel;
        auto& sums = all_sums[j / kTileColumns];
        fetched.During(words, j);
        if (last) Fetch(to, j);
        if (kWhole && to.rows > kTileRows) {
          const bool in_place = last && to.update == Update::kStore && to.rows == kRows &&
                                !IsCut(to, j, kTileColumns);
          MultiplyWhole(rows, panel, words, sums[0],
                        in_place ? Place{to.out + j, to.stride} : Aside(sums[0]));
          if (last && !in_place) {
            Move<Factors>(sums[0], to, 0, j);
            Move<Factors>(sums[0] + kTile, to, kTileRows, j);
          }
          continue;
        }
        for (std::int64_t row = 0; row < to.rows; row += kTileRows) {
          float* tile = sums[row / kTileRows];
          MultiplyHalf<Factors>(rows.From(row, 0), panel, panels.part, words, tile);
          if (last) Move<Factors>(tile, to, row, j);
        }
      }
    } while (words.end < panels.words);
    _tile_release();
  }
};

}  // namespace

BFloat16Kernels MakeBFloat16Kernels() { return TablesOf<AmxKernel>(kBlockColumns); }

}  // namespace ballast::cpu::BALLAST_ISA
