#include "native/cpu/attention_block.h"

#include <cmath>

#include "native/core/divide_up.h"
#include "native/cpu/conversion.h"

namespace ballast::cpu {
namespace {

constexpr std::int64_t kLeastRows = 28;
constexpr std::int64_t kTile = PackedHeads::kTile;

}  // namespace

std::int64_t AttentionBlock::RowsOf(const GemmKernels& kernels) {
  return RoundUp(kLeastRows, kernels.strip_rows);
}

AttentionBlock::AttentionBlock(const Kernels& kernels, const GemmKernels& gemm,
                               const AttentionParams& params, const PackedHeads& heads)
    : kernels_(kernels),
      gemm_(gemm),
      params_(params),
      heads_(heads),
      most_rows_(RowsOf(gemm)),
      strips_(most_rows_ / gemm.strip_rows),
      query_strips_(strips_ * heads.stretches() * gemm.strip_bytes),
      scores_(most_rows_ * kTile),
      weights_(strips_ * gemm.strip_bytes),
      out_(most_rows_ * heads.padded_head()),
      largest_(most_rows_),
      sums_(most_rows_) {
  // Rows beyond the queries are never read, but shall be numbers.
  std::fill_n(query_strips_.data(), strips_ * heads.stretches() * gemm.strip_bytes, std::byte{0});
}

void AttentionBlock::Run(std::int64_t sequence, std::int64_t head, std::int64_t first,
                         std::byte* packed) {
  const AttentionParams& p = params_;
  const std::int64_t stride = p.query.cols();
  const std::int64_t offset = (sequence * p.sequence + first) * stride + head * heads_.head_size();
  head_ = head;
  first_ = first;
  rows_ = std::min(most_rows_, p.sequence - first);
  bias_row_ = p.bias.empty() ? 0 : (sequence * p.heads + head) * p.sequence % p.bias.rows();
  PackQueries(p.query.f32() + offset);
  std::fill_n(out_.data(), most_rows_ * heads_.padded_head(), 0.0f);
  std::fill_n(largest_.data(), rows_, -INFINITY);
  std::fill_n(sums_.data(), rows_, 0.0f);
  const std::int64_t from = p.window > 0 ? std::max<std::int64_t>(first - p.window + 1, 0) : 0;
  const std::int64_t to = p.causal ? first + rows_ : p.sequence;
  for (std::int64_t tile = from / kTile; tile * kTile < to; ++tile) {
    const PackedHeads::Part keys = heads_.Tile(tile);
    Score(packed, tile, std::min(keys.size, to - keys.begin));
    for (std::int64_t r = 0; r < rows_; ++r) Weigh(r, keys);
    AddValues(packed, tile);
  }
  for (std::int64_t r = 0; r < rows_; ++r) {
    float* const out = out_.data() + r * heads_.padded_head();
    kernels_.row.scale_single(out, 1.0f / sums_[r], heads_.head_size(), out);
    WriteFloats(kernels_, out, heads_.head_size(), p.out, offset + r * stride);
  }
}

void AttentionBlock::PackQueries(const float* query) {
  const Operand queries = {.data = query, .stride = params_.query.cols()};
  ForStrips([&](std::int64_t i, std::int64_t row) {
    for (std::int64_t s = 0; s < heads_.stretches(); ++s) {
      const auto [begin, depth] = heads_.Stretch(s);
      gemm_.pack_strip(queries, {row, std::min(gemm_.strip_rows, rows_ - row), begin, depth},
                       query_strips_.data() + (i * heads_.stretches() + s) * gemm_.strip_bytes);
    }
  });
}

void AttentionBlock::Score(std::byte* packed, std::int64_t tile, std::int64_t keys) {
  scored_ = RoundUp(keys, gemm_.panel_columns);
  for (std::int64_t s = 0; s < heads_.stretches(); ++s) {
    MultiplyStrips(query_strips_.data() + s * gemm_.strip_bytes,
                   heads_.stretches() * gemm_.strip_bytes, heads_.Keys(packed, tile, s),
                   heads_.Stretch(s).size,
                   {.out = scores_.data(),
                    .stride = kTile,
                    .rows = gemm_.strip_rows,
                    .columns = scored_,
                    .update = s == 0 ? Update::kStore : Update::kAdd});
  }
}

void AttentionBlock::MultiplyStrips(const std::byte* strips, std::int64_t strip_bytes,
                                    const std::byte* panels, std::int64_t depth,
                                    const Destination& first) {
  ForStrips([&](std::int64_t i, std::int64_t row) {
    Destination to = first;
    to.out += row * first.stride;
    gemm_.multiply(strips + i * strip_bytes, panels, depth, to, {});
  });
}

void AttentionBlock::Weigh(std::int64_t r, PackedHeads::Part keys) {
  const AttentionParams& p = params_;
  float* scores = scores_.data() + r * kTile;
  const std::int64_t position = first_ + r;
  const std::int64_t seen_from = p.window > 0 ? position - p.window + 1 : 0;
  const std::int64_t seen_to = p.causal ? position + 1 : p.sequence;
  const std::int64_t begin = std::max<std::int64_t>(seen_from - keys.begin, 0);
  const std::int64_t end = std::min(seen_to - keys.begin, keys.size);
  if (begin >= end) {
    std::fill_n(scores, kTile, 0.0f);
    return;
  }
  const std::int64_t bias = (bias_row_ + position) * p.sequence + keys.begin;
  kernels_.row.attend({.scores = scores,
                       .keys = scored_,
                       .begin = begin,
                       .end = end,
                       .bias = p.bias.empty() ? nullptr : p.bias.f32() + bias,
                       .scale = static_cast<float>(p.scale),
                       .softcap = static_cast<float>(p.softcap),
                       .slope = p.alibi_slopes.empty() ? 0.0f : p.alibi_slopes.f32()[head_],
                       .offset = keys.begin - position,
                       .rounded = p.precision == Precision::kBFloat16,
                       .out = out_.data() + r * heads_.padded_head(),
                       .size = heads_.padded_head(),
                       .largest = largest_.data() + r,
                       .sum = sums_.data() + r});
  std::fill(scores + scored_, scores + kTile, 0.0f);
}

void AttentionBlock::AddValues(std::byte* packed, std::int64_t tile) {
  const Operand weights = {.data = scores_.data(), .stride = kTile};
  const std::int64_t keys = heads_.Tile(tile).size;
  ForStrips([&](std::int64_t i, std::int64_t row) {
    gemm_.pack_strip(weights, {row, gemm_.strip_rows, 0, keys},
                     weights_.data() + i * gemm_.strip_bytes);
  });
  MultiplyStrips(weights_.data(), gemm_.strip_bytes, heads_.Values(packed, tile), keys,
                 {.out = out_.data(),
                  .stride = heads_.padded_head(),
                  .rows = gemm_.strip_rows,
                  .columns = heads_.padded_head(),
                  .update = Update::kAdd});
}

}  // namespace ballast::cpu
