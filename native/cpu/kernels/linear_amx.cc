// bfloat16 products with AMX: a tile is 32 rows × 32 columns in four tile registers, each step of
// 16 words loads two tiles of the strip and two of the panel. The layouts are those of the vector
// kernels. Strips and panels are zero beyond the depth up to a whole step.
#include "native/cpu/kernels/bfloat16_words.h"
#include "native/cpu/kernels/split.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

constexpr int kTileRows = 16;
constexpr std::int64_t kStep = 16;  // words in a row of a tile

struct alignas(64) TileConfiguration {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Static, since compilers believe that loading it reads its first bytes only.
constexpr TileConfiguration kTiles = {};

struct AmxKernel : BFloat16Words {
  static constexpr std::int64_t kRows = 2 * kTileRows;
  static constexpr std::int64_t kDepth = 1024;
  static constexpr int kFetched = 4;

  static void Begin() { _tile_loadconfig(&kTiles); }
  static void End() { _tile_release(); }

  // One row is computed as sixteen: what lies below it in the strip is finite or not, but never
  // moved.
  template <int kRowsUsed>
  static void Multiply(const float* strip, const float* panel, std::int64_t words,
                       const Tile& tile) {
    constexpr std::int64_t kStripBytes = Gemm<AmxKernel>::kStripStride * 4;
    constexpr std::int64_t kPanelBytes = kPanel * 4;
    constexpr bool kTall = kRowsUsed > kTileRows;
    _tile_zero(0);
    _tile_zero(1);
    if (kTall) {
      _tile_zero(2);
      _tile_zero(3);
    }
    ForEachWord<kFetched, kStep>(words, tile.stream, [&](std::int64_t k) {
      _tile_loadd(4, strip + k, kStripBytes);
      _tile_loadd(6, panel + k * kPanel, kPanelBytes);
      _tile_loadd(7, panel + k * kPanel + kLanes, kPanelBytes);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      if (kTall) {
        _tile_loadd(5, strip + kTileRows * Gemm<AmxKernel>::kStripStride + k, kStripBytes);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
    });
    alignas(64) float sums[kRows * kPanel];
    _tile_stored(0, sums, kPanelBytes);
    _tile_stored(1, sums + kLanes, kPanelBytes);
    if (kTall) {
      _tile_stored(2, sums + kTileRows * kPanel, kPanelBytes);
      _tile_stored(3, sums + kTileRows * kPanel + kLanes, kPanelBytes);
    }
    for (int r = 0; r < kRowsUsed; ++r) {
      for (std::int64_t j = 0; j < kPanel; j += kLanes) {
        Write(tile.out + r * tile.stride + j, Load<Floats>(sums + r * kPanel + j), tile.update);
      }
    }
  }
};

}  // namespace

BFloat16Kernels MakeBFloat16Kernels() { return TablesOf<AmxKernel>(256); }

}  // namespace ballast::cpu::BALLAST_ISA
