#include "native/cpu/attention_block.h"

#include <cfloat>

#include "native/core/divide_up.h"
#include "native/cpu/conversion.h"

namespace ballast::cpu {

AttentionBlock::AttentionBlock(const Kernels& kernels, const GemmKernels& gemm,
                               const AttentionParams& params, const PackedHeads& heads)
    : kernels_(kernels),
      gemm_(gemm),
      params_(params),
      heads_(heads),
      most_rows_(QueriesOf(gemm)),
      padded_head_(RoundUp(RoundUp(heads.head_size(), gemm.strip_rows), kernels.row.lanes)),
      query_panels_(heads.stretches() * QueryBytes()),
      scores_(heads.tile_keys() * most_rows_),
      weights_(most_rows_ / gemm.panel_columns * gemm.panel_bytes(heads.tile_keys())),
      out_(padded_head_ * most_rows_),
      largest_(most_rows_),
      sums_(most_rows_),
      result_(gemm.panel_columns * padded_head_),
      seen_(most_rows_ / gemm.panel_columns) {}

void AttentionBlock::Run(std::int64_t sequence, std::int64_t head, std::int64_t first,
                         const std::byte* packed) {
  const AttentionParams& p = params_;
  const std::int64_t stride = p.query.cols();
  const std::int64_t offset = (sequence * p.sequence + first) * stride + head * heads_.head_size();
  first_ = first;
  rows_ = std::min(most_rows_, p.sequence - first);
  bias_row_ = p.bias.empty() ? 0 : (sequence * p.heads + head) * p.sequence % p.bias.rows();
  PackQueries(p.query.f32() + offset);
  std::fill_n(out_.data(), padded_head_ * most_rows_, 0.0f);
  slope_ = p.alibi_slopes.empty() ? 0.0f : p.alibi_slopes.f32()[head];
  only_scales_ = p.scale > 0 && p.softcap <= 0 && slope_ == 0 && p.bias.empty();
  // A sink is a key that all have seen, whose value is zero.
  const bool has_sink = !p.sinks.empty();
  const auto unit = static_cast<float>(only_scales_ ? p.scale : 1);
  std::fill_n(largest_.data(), most_rows_, has_sink ? p.sinks.f32()[head] / unit : -FLT_MAX);
  std::fill_n(sums_.data(), most_rows_, has_sink ? 1.0f : 0.0f);
  const std::int64_t from = p.window > 0 ? std::max<std::int64_t>(first - p.window + 1, 0) : 0;
  const std::int64_t to = p.causal ? first + rows_ : p.sequence;
  const std::int64_t tile_keys = heads_.tile_keys();
  for (std::int64_t tile = from / tile_keys; tile * tile_keys < to; ++tile) {
    const PackedHeads::Part keys = heads_.Tile(tile);
    for (std::int64_t i = 0; i < panels(); ++i) seen_[i] = KeysSeen(i, keys);
    Score(packed, tile);
    for (std::int64_t i = 0; i < panels(); ++i) Weigh(i, keys);
    AddValues(packed, tile);
  }
  for (std::int64_t i = 0; i < panels(); ++i) Finish(i, offset);
}

void AttentionBlock::PackQueries(const float* query) {
  const Operand queries = {.data = query, .stride = params_.query.cols()};
  for (std::int64_t s = 0; s < heads_.stretches(); ++s) {
    const auto [begin, depth] = heads_.Stretch(s);
    gemm_.pack_block(queries, {0, rows_, begin, depth}, 0, rows_,
                     query_panels_.data() + s * QueryBytes());
  }
}

std::int64_t AttentionBlock::QueryBytes() const {
  return most_rows_ / gemm_.panel_columns *
         gemm_.panel_bytes(std::min(heads_.head_size(), gemm_.depth));
}

std::int64_t AttentionBlock::KeysSeen(std::int64_t panel, PackedHeads::Part keys) const {
  const std::int64_t begin = first_ + panel * gemm_.panel_columns;
  const std::int64_t end = std::min(begin + gemm_.panel_columns, first_ + rows_);
  const std::int64_t before = params_.window > 0 ? begin - params_.window + 1 : 0;
  if (keys.begin + keys.size <= before) return 0;
  const std::int64_t to = params_.causal ? end : params_.sequence;
  return std::clamp<std::int64_t>(to - keys.begin, 0, keys.size);
}

void AttentionBlock::Score(const std::byte* packed, std::int64_t tile) {
  const std::int64_t strip_rows = gemm_.strip_rows;
  // A panel sees the keys that the one before it does, unless these are out of its window.
  std::int64_t panel = 0;
  for (std::int64_t key = 0;; key += strip_rows) {
    while (panel < panels() && seen_[panel] <= key) ++panel;
    if (panel == panels()) return;
    for (std::int64_t s = 0; s < heads_.stretches(); ++s) {
      const std::int64_t depth = heads_.Stretch(s).size;
      gemm_.multiply(heads_.Keys(packed, tile, s, key),
                     query_panels_.data() + s * QueryBytes() + panel * gemm_.panel_bytes(depth),
                     depth, depth,
                     {.out = scores_.data() + key * most_rows_ + panel * gemm_.panel_columns,
                      .stride = most_rows_,
                      .rows = strip_rows,
                      .columns = (panels() - panel) * gemm_.panel_columns,
                      .update = s == 0 ? Update::kStore : Update::kAdd},
                     {});
    }
  }
}

AttentionSums AttentionBlock::SumsOf(std::int64_t panel) {
  const std::int64_t column = panel * gemm_.panel_columns;
  return {.queries = std::min(gemm_.panel_columns, rows_ - column),
          .out = out_.data() + column,
          .stride = most_rows_,
          .size = heads_.head_size(),
          .largest = largest_.data() + column,
          .weight_sums = sums_.data() + column};
}

void AttentionBlock::Weigh(std::int64_t panel, PackedHeads::Part keys) {
  if (seen_[panel] == 0) return;
  const AttentionParams& p = params_;
  const std::int64_t column = panel * gemm_.panel_columns;
  const std::int64_t position = first_ + column;
  std::byte* const weights = weights_.data() + panel * gemm_.panel_bytes(keys.size);
  const std::int64_t bias = (bias_row_ + position) * p.sequence + keys.begin;
  kernels_.row.attend({.sums = SumsOf(panel),
                       .scores = scores_.data() + column,
                       .stride = most_rows_,
                       .keys = seen_[panel],
                       .ahead = position - keys.begin,
                       .causal = p.causal,
                       .window = p.window,
                       .bias = p.bias.empty() ? nullptr : p.bias.f32() + bias,
                       .bias_stride = p.sequence,
                       .scale = static_cast<float>(p.scale),
                       .softcap = static_cast<float>(p.softcap),
                       .slope = slope_,
                       .only_scales = only_scales_,
                       .rounded = p.precision == Precision::kBFloat16,
                       .weights = reinterpret_cast<float*>(weights),
                       .words = gemm_.panel_bytes(seen_[panel]) / (gemm_.panel_columns * 4),
                       .per_word = gemm_.per_word});
}

void AttentionBlock::AddValues(const std::byte* packed, std::int64_t tile) {
  const std::int64_t keys = heads_.Tile(tile).size;
  // Panels that see equally many keys are multiplied together.
  for (std::int64_t next, panel = 0; panel < panels(); panel = next) {
    next = panel + 1;
    while (next < panels() && seen_[next] == seen_[panel]) ++next;
    if (seen_[panel] == 0) continue;
    for (std::int64_t channel = 0; channel < heads_.head_size(); channel += gemm_.strip_rows) {
      gemm_.multiply(heads_.Values(packed, tile, channel),
                     weights_.data() + panel * gemm_.panel_bytes(keys), keys, seen_[panel],
                     {.out = out_.data() + channel * most_rows_ + panel * gemm_.panel_columns,
                      .stride = most_rows_,
                      .rows = gemm_.strip_rows,
                      .columns = (next - panel) * gemm_.panel_columns,
                      .update = Update::kAdd},
                     {});
    }
  }
}

void AttentionBlock::Finish(std::int64_t panel, std::int64_t offset) {
  const AttentionSums sums = SumsOf(panel);
  kernels_.row.finish_attention(sums, result_.data(), padded_head_);
  const std::int64_t stride = params_.query.cols();
  for (std::int64_t q = 0; q < sums.queries; ++q) {
    WriteFloats(kernels_, result_.data() + q * padded_head_, heads_.head_size(), params_.out,
                offset + (panel * gemm_.panel_columns + q) * stride);
  }
}

}  // namespace ballast::cpu
