// The transpose of a matrix, tile by tile. A tile is copied in, lies in the first cache while its
// squares are transposed in registers, and is copied out: in the matrices its rows may be powers of
// two apart, where caches hold but a few.
#include <algorithm>
#include <cstring>

#include "native/core/divide_up.h"
#include "native/cpu/elementwise.h"
#include "native/cpu/transpose_square.h"
#include "native/cpu/word.h"

namespace ballast::cpu {
namespace {

constexpr std::size_t kTileBytes = 16384;
constexpr std::int64_t kTilesOfTask = 16;

// The largest power of two.
template <class Word>
constexpr std::int64_t TileSide() {
  std::int64_t side = 1;
  while (4 * side * side * sizeof(Word) <= kTileBytes) side *= 2;
  return side;
}

template <class Word>
struct Tile {
  typedef Word Words __attribute__((vector_size(16)));
  static constexpr std::int64_t kSide = TileSide<Word>();
  static constexpr std::int64_t kSquare = sizeof(Words) / sizeof(Word);

  // Where the matrices end, what they leave of a tile is transposed as well.
  alignas(64) Word in[kSide][kSide] = {};
  alignas(64) Word out[kSide][kSide] = {};

  void Transpose() {
    for (std::int64_t i = 0; i < kSide; i += kSquare) {
      for (std::int64_t j = 0; j < kSide; j += kSquare) {
        Words square[kSquare];
        for (std::int64_t k = 0; k < kSquare; ++k) {
          std::memcpy(&square[k], &in[j + k][i], sizeof(Words));
        }
        TransposeSquare(square);
        for (std::int64_t k = 0; k < kSquare; ++k) {
          std::memcpy(&out[i + k][j], &square[k], sizeof(Words));
        }
      }
    }
  }
};

// The tile of `in` whose first element is (i, j).
template <class Word>
void TransposeTile(const View& in, const View& out, std::int64_t i, std::int64_t j,
                   Tile<Word>& tile) {
  const std::int64_t rows = std::min(tile.kSide, in.rows() - i);
  const std::int64_t columns = std::min(tile.kSide, in.cols() - j);
  for (std::int64_t k = 0; k < rows; ++k) {
    std::memcpy(tile.in[k], in.as<Word>() + (i + k) * in.cols() + j, columns * sizeof(Word));
  }
  tile.Transpose();
  for (std::int64_t k = 0; k < columns; ++k) {
    std::memcpy(out.as<Word>() + (j + k) * in.rows() + i, tile.out[k], rows * sizeof(Word));
  }
}

}  // namespace

void Transpose(const Context& context, const View& in, const View& out) {
  WithWord(in.dtype, [&](auto word) {
    using TileOf = Tile<decltype(word)>;
    const std::int64_t down = DivideUp(in.rows(), TileOf::kSide);
    const std::int64_t across = DivideUp(in.cols(), TileOf::kSide);
    context.pool.ParallelFor(
        down * across, kTilesOfTask,
        [&](std::int64_t begin, std::int64_t end) {
          TileOf tile;
          for (std::int64_t t = begin; t < end; ++t) {
            TransposeTile(in, out, t / across * TileOf::kSide, t % across * TileOf::kSide, tile);
          }
        },
        context.cancel);
  });
}

}  // namespace ballast::cpu
