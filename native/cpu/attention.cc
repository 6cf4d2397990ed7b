// Two passes: each head's keys and values are packed once for all the query heads and blocks that
// read them, then blocks of queries of all sequences and heads run in parallel. The work of a block
// does not depend on the number of threads, so neither does the result.
#include "native/cpu/attention.h"

#include <algorithm>

#include "native/cpu/scratch.h"

namespace ballast::cpu {
namespace {

std::int64_t RoundUp(std::int64_t a, std::int64_t unit) { return (a + unit - 1) / unit * unit; }

// Of packed keys and values at a time: enough work for many threads, and still in the last cache.
constexpr std::int64_t kPackedBytes = 8 << 20;

struct Sizes {
  std::int64_t batch;
  std::int64_t head_size;
  std::int64_t padded_head;
  std::int64_t padded_sequence;
  std::int64_t blocks;  // of queries in a sequence
};

Sizes SizesOf(const Context& context, const AttentionParams& p) {
  const std::int64_t lanes = context.kernels.row.lanes;
  const std::int64_t head_size = p.query.cols() / p.heads;
  return {.batch = p.query.rows() / p.sequence,
          .head_size = head_size,
          .padded_head = RoundUp(head_size, lanes),
          .padded_sequence = RoundUp(p.sequence, 2 * lanes),
          .blocks = (p.sequence + kQueryBlock - 1) / kQueryBlock};
}

// Some sequences of a tensor of tokens.
View Sequences(const View& view, std::int64_t sequence, std::int64_t first, std::int64_t count) {
  return {reinterpret_cast<std::byte*>(view.f32() + first * sequence * view.cols()), view.dtype,
          Shape{count * sequence, view.cols()}};
}

void Pack(const Context& context, const AttentionParams& p, const Sizes& s, float* keys,
          float* values) {
  const std::int64_t stride = p.key.cols();
  context.pool.ParallelFor(
      s.batch * p.key_value_heads, 1,
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const std::int64_t offset =
              i / p.key_value_heads * p.sequence * stride + i % p.key_value_heads * s.head_size;
          context.kernels.row.pack_keys(p.key.f32() + offset, stride, p.sequence, s.head_size,
                                        keys + i * s.padded_sequence * s.head_size);
          context.kernels.row.pack_values(p.value.f32() + offset, stride, p.sequence, s.head_size,
                                          s.padded_head,
                                          values + i * s.padded_sequence * s.padded_head);
        }
      },
      context.cancel);
}

// The bias on the scores of one sequence, head and query, or null.
const float* BiasOf(const AttentionParams& p, std::int64_t sequence, std::int64_t head,
                    std::int64_t query) {
  if (p.bias.empty()) return nullptr;
  const std::int64_t row = (sequence * p.heads + head) * p.sequence + query;
  return p.bias.f32() + row % p.bias.rows() * p.sequence;
}

// `first` is what the sequences of `p` begin with among those of the whole batch.
void Attend(const Context& context, const AttentionParams& p, const Sizes& s, std::int64_t first,
            const float* keys, const float* values) {
  const std::int64_t stride = p.query.cols();
  const std::int64_t group = p.heads / p.key_value_heads;
  const auto attend = [&](std::int64_t item, float* scratch) {
    // The last blocks of a causal sequence see the most keys: they go first, so that no thread ends
    // late.
    const std::int64_t block = s.blocks - 1 - item / (s.batch * p.heads);
    const std::int64_t sequence = item % (s.batch * p.heads) / p.heads;
    const std::int64_t head = item % p.heads;
    const std::int64_t query = block * kQueryBlock;
    const std::int64_t offset = (sequence * p.sequence + query) * stride + head * s.head_size;
    const std::int64_t pack = sequence * p.key_value_heads + head / group;
    const std::int64_t rest = p.sequence - query;
    context.kernels.row.attend({.query = p.query.f32() + offset,
                                .packed_key = keys + pack * s.padded_sequence * s.head_size,
                                .packed_value = values + pack * s.padded_sequence * s.padded_head,
                                .bias = BiasOf(p, first + sequence, head, query),
                                .out = p.out.f32() + offset,
                                .scratch = scratch,
                                .row_stride = stride,
                                .first_query = query,
                                .queries = rest < kQueryBlock ? rest : kQueryBlock,
                                .sequence = p.sequence,
                                .head_size = s.head_size,
                                .padded_head = s.padded_head,
                                .window = p.window,
                                .scale = static_cast<float>(p.scale),
                                .softcap = static_cast<float>(p.softcap),
                                .slope = p.alibi_slopes.empty() ? 0.0f : p.alibi_slopes.f32()[head],
                                .causal = p.causal});
  };
  context.pool.ParallelFor(
      s.blocks * s.batch * p.heads, 1,
      [&](std::int64_t begin, std::int64_t end) {
        Scratch<float> scratch(AttentionScratch(s.padded_head));
        for (std::int64_t item = begin; item < end; ++item) attend(item, scratch.data());
      },
      context.cancel);
}

}  // namespace

void Attention(const Context& context, const AttentionParams& params) {
  const Sizes all = SizesOf(context, params);
  const std::int64_t key_floats = params.key_value_heads * all.padded_sequence * all.head_size;
  const std::int64_t value_floats = params.key_value_heads * all.padded_sequence * all.padded_head;
  const std::int64_t bytes = (key_floats + value_floats) * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t step =
      std::clamp<std::int64_t>(kPackedBytes / bytes, 1, std::max<std::int64_t>(all.batch, 1));
  Scratch<float> keys(step * key_floats);
  Scratch<float> values(step * value_floats);
  for (std::int64_t first = 0; first < all.batch; first += step) {
    const std::int64_t count = std::min(step, all.batch - first);
    AttentionParams part = params;
    for (View* view : {&part.query, &part.key, &part.value, &part.out}) {
      *view = Sequences(*view, params.sequence, first, count);
    }
    const Sizes sizes = SizesOf(context, part);
    Pack(context, part, sizes, keys.data(), values.data());
    Attend(context, part, sizes, first, keys.data(), values.data());
  }
}

}  // namespace ballast::cpu
