// A software twin of the AMX instructions that native/cpu/kernels/linear_amx.cc is written in,
// after the operation and exception sections of Intel's manual (SDM volume 2: LDTILECFG, TILEZERO,
// TILELOADD, TDPBF16PS, TILESTORED, TILERELEASE). It takes the names of their intrinsics in what is
// included after it. Whatever would fault ends the program.
#pragma once

#include <immintrin.h>

#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace amx {

constexpr int kTiles = 8;
constexpr int kMostRows = 16;
constexpr int kMostBytes = 64;  // of a row

struct Tile {
  int rows;
  int row_bytes;
  std::uint8_t data[kMostRows][kMostBytes];
};

struct State {
  bool configured = false;
  Tile tiles[kTiles];
};

inline thread_local State state;

inline void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "This would fault: %s.\n", what);
  std::exit(3);
}

inline Tile& At(int tile) {
  Require(state.configured, "an instruction on tiles that are not configured");
  Require(tile >= 0 && tile < kTiles, "a tile that there is not");
  Require(state.tiles[tile].rows > 0, "a tile that is not configured");
  return state.tiles[tile];
}

inline void Release() { state = {}; }

inline void LoadConfiguration(const void* memory) {
  std::uint8_t bytes[64];
  std::memcpy(bytes, memory, sizeof bytes);
  Release();
  if (bytes[0] == 0) return;
  Require(bytes[0] == 1, "a palette other than 1");
  Require(bytes[1] == 0, "a start row, which only an interrupted instruction leaves");
  for (int i = 2; i < 16; ++i) Require(bytes[i] == 0, "reserved bytes that are not zero");
  for (int i = 0; i < 16; ++i) {
    const int row_bytes = bytes[16 + 2 * i] + 256 * bytes[17 + 2 * i];
    const int rows = bytes[48 + i];
    if (i >= kTiles) {
      Require(rows == 0 && row_bytes == 0, "more tiles than the palette has");
      continue;
    }
    Require(rows <= kMostRows && row_bytes <= kMostBytes, "a tile larger than the palette's");
    Require((rows == 0) == (row_bytes == 0), "a tile with rows or columns alone");
    state.tiles[i].rows = rows;
    state.tiles[i].row_bytes = row_bytes;
  }
  state.configured = true;
}

inline void Zero(int tile) { std::memset(At(tile).data, 0, sizeof Tile::data); }

inline void Load(int tile, const void* base, std::int64_t stride) {
  Zero(tile);
  Tile& to = At(tile);
  for (int r = 0; r < to.rows; ++r) {
    std::memcpy(to.data[r], static_cast<const char*>(base) + r * stride, to.row_bytes);
  }
}

inline void Store(int tile, void* base, std::int64_t stride) {
  const Tile& from = At(tile);
  for (int r = 0; r < from.rows; ++r) {
    std::memcpy(static_cast<char*>(base) + r * stride, from.data[r], from.row_bytes);
  }
}

inline float Flushed(float x) { return std::fabs(x) < FLT_MIN ? std::copysign(0.0f, x) : x; }

// Element i of a row of bfloat16 numbers.
inline float BFloat16At(const std::uint8_t* row, int i) {
  const std::uint8_t bytes[4] = {0, 0, row[2 * i], row[2 * i + 1]};
  float x;
  std::memcpy(&x, bytes, sizeof x);
  return Flushed(x);
}

// C += A B, words of A's rows with rows of B: even and odd products are summed apart, from zero.
inline void MultiplyPairs(int c_tile, int a_tile, int b_tile) {
  Tile& c = At(c_tile);
  const Tile& a = At(a_tile);
  const Tile& b = At(b_tile);
  Require(c_tile != a_tile && c_tile != b_tile && a_tile != b_tile, "a tile taken twice");
  Require(c.row_bytes % 4 == 0 && a.row_bytes % 4 == 0 && b.row_bytes % 4 == 0, "parts of words");
  Require(c.rows == a.rows && c.row_bytes == b.row_bytes && a.row_bytes / 4 == b.rows,
          "tiles whose sizes do not match");
  const int words = a.row_bytes / 4;
  for (int m = 0; m < c.rows; ++m) {
    for (int n = 0; n < c.row_bytes / 4; ++n) {
      float even = 0, odd = 0;
      for (int k = 0; k < words; ++k) {
        even = Flushed(std::fma(BFloat16At(a.data[m], 2 * k), BFloat16At(b.data[k], 2 * n), even));
        odd = Flushed(
            std::fma(BFloat16At(a.data[m], 2 * k + 1), BFloat16At(b.data[k], 2 * n + 1), odd));
      }
      float sum;
      std::memcpy(&sum, &c.data[m][4 * n], sizeof sum);
      sum = Flushed(Flushed(sum) + Flushed(even + odd));
      std::memcpy(&c.data[m][4 * n], &sum, sizeof sum);
    }
  }
}

}  // namespace amx

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#define _tile_loadconfig(memory) amx::LoadConfiguration(memory)
#define _tile_release() amx::Release()
#define _tile_zero(tile) amx::Zero(tile)
#define _tile_loadd(tile, base, stride) amx::Load(tile, base, stride)
#define _tile_stored(tile, base, stride) amx::Store(tile, base, stride)
#define _tile_dpbf16ps(c, a, b) amx::MultiplyPairs(c, a, b)
