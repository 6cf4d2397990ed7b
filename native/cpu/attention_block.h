// A block of queries of one head on its way through the keys, a tile at a time; the working memory
// of one thread.
#pragma once

#include "native/cpu/packed_heads.h"
#include "native/cpu/scratch.h"

namespace ballast::cpu {

class AttentionBlock {
 public:
  // Queries of a block.
  static std::int64_t RowsOf(const GemmKernels& kernels);

  AttentionBlock(const Kernels& kernels, const GemmKernels& gemm, const AttentionParams& params,
                 const PackedHeads& heads);

  // Queries from `first` on of a head, against what was packed of its pair.
  void Run(std::int64_t sequence, std::int64_t head, std::int64_t first, std::byte* packed);

 private:
  void PackQueries(const float* query);
  // Of the first `keys` of a tile, q·k.
  void Score(std::byte* packed, std::int64_t tile, std::int64_t keys);
  // Strips times a tile's panels, the first of either to `first`.
  void MultiplyStrips(const std::byte* strips, std::int64_t strip_bytes, const std::byte* panels,
                      std::int64_t depth, const Destination& first);
  // Scores of row r with a tile's keys become weights.
  void Weigh(std::int64_t r, PackedHeads::Part keys);
  // Weights times a tile's values.
  void AddValues(std::byte* packed, std::int64_t tile);

  // body(strip, its first row) for each strip of the block. All are taken as whole, for speed: what
  // rows beyond the queries hold is nobody's.
  template <class F>
  void ForStrips(F body) {
    for (std::int64_t i = 0; i * gemm_.strip_rows < rows_; ++i) body(i, i * gemm_.strip_rows);
  }

  const Kernels& kernels_;
  const GemmKernels& gemm_;
  const AttentionParams& params_;
  const PackedHeads& heads_;
  const std::int64_t most_rows_;
  const std::int64_t strips_;
  Scratch<std::byte> query_strips_;  // of each strip its stretches
  Scratch<float> scores_;            // [most_rows, kTile], then weights
  Scratch<std::byte> weights_;       // of each strip
  Scratch<float> out_;               // [most_rows, padded_head], not yet divided by the sums
  Scratch<float> largest_;           // [most_rows]
  Scratch<float> sums_;              // [most_rows]
  std::int64_t head_ = 0;
  std::int64_t first_ = 0;  // position of the first query
  std::int64_t rows_ = 0;
  std::int64_t scored_ = 0;    // keys of a tile that there are scores for
  std::int64_t bias_row_ = 0;  // of the sequence's first query
};

}  // namespace ballast::cpu
