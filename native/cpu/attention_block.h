// A block of queries of one head on its way through the keys, a tile at a time; the working memory
// of one thread.
#pragma once

#include <vector>

#include "native/core/divide_up.h"
#include "native/cpu/packed_heads.h"
#include "native/cpu/scratch.h"

namespace ballast::cpu {

class AttentionBlock {
 public:
  // Queries of a block: panels of the kernels.
  static std::int64_t QueriesOf(const GemmKernels& kernels) { return 4 * kernels.panel_columns; }

  AttentionBlock(const Kernels& kernels, const GemmKernels& gemm, const AttentionParams& params,
                 const PackedHeads& heads);

  // Queries from `first` on of a head, against what was packed of its pair.
  void Run(std::int64_t sequence, std::int64_t head, std::int64_t first, const std::byte* packed);

 private:
  // Of a stretch's panels of queries.
  std::int64_t QueryBytes() const;
  void PackQueries(const float* query);
  // Keys of a tile that some query of panel p sees: from its first one up to that many.
  std::int64_t KeysSeen(std::int64_t p, PackedHeads::Part keys) const;
  // k·q of a tile's keys and the panels that see them.
  void Score(const std::byte* packed, std::int64_t tile);
  // Scores of panel p become weights.
  void Weigh(std::int64_t p, PackedHeads::Part keys);
  // A tile's values times weights.
  void AddValues(const std::byte* packed, std::int64_t tile);
  void Finish(std::int64_t p, std::int64_t offset);
  AttentionSums SumsOf(std::int64_t panel);

  std::int64_t panels() const { return DivideUp(rows_, gemm_.panel_columns); }

  const Kernels& kernels_;
  const GemmKernels& gemm_;
  const AttentionParams& params_;
  const PackedHeads& heads_;
  const std::int64_t most_rows_;     // queries
  const std::int64_t padded_head_;   // channels, rounded up to whole strips and vectors
  Scratch<std::byte> query_panels_;  // of each stretch its panels
  Scratch<float> scores_;            // [keys of a tile, most_rows]
  Scratch<std::byte> weights_;       // panels
  Scratch<float> out_;               // [padded_head, most_rows], not yet divided by the sums
  Scratch<float> largest_;           // [most_rows]
  Scratch<float> sums_;              // [most_rows]
  Scratch<float> result_;            // [a panel's queries, padded_head]
  float slope_ = 0;                  // of alibi
  bool only_scales_ = false;
  std::int64_t first_ = 0;  // position of the first query
  std::int64_t rows_ = 0;
  std::int64_t bias_row_ = 0;       // of the sequence's first query
  std::vector<std::int64_t> seen_;  // keys of a tile, by panels
};

}  // namespace ballast::cpu
