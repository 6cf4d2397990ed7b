// Two passes: each head's keys and values are packed once for all the query heads and blocks that
// read them, then blocks of queries of all sequences and heads run in parallel. The work of a block
// does not depend on the number of threads, so neither does the result.
#include "native/cpu/attention.h"

#include "native/cpu/scratch.h"

namespace ballast::cpu {
namespace {

std::int64_t RoundUp(std::int64_t a, std::int64_t unit) { return (a + unit - 1) / unit * unit; }

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

}  // namespace

void Attention(const Context& context, const AttentionParams& p) {
  const Sizes s = SizesOf(context, p);
  const std::int64_t packs = s.batch * p.key_value_heads;
  Scratch<float> keys(packs * s.padded_sequence * s.head_size);
  Scratch<float> values(packs * s.padded_sequence * s.padded_head);
  Pack(context, p, s, keys.data(), values.data());

  const std::int64_t stride = p.query.cols();
  const std::int64_t group = p.heads / p.key_value_heads;
  const auto attend = [&](std::int64_t item, float* scratch) {
    // The last blocks of a causal sequence see the most keys: they go first, so that no thread ends
    // late.
    const std::int64_t block = s.blocks - 1 - item / (s.batch * p.heads);
    const std::int64_t sequence = item % (s.batch * p.heads) / p.heads;
    const std::int64_t head = item % p.heads;
    const std::int64_t first = block * kQueryBlock;
    const std::int64_t offset = (sequence * p.sequence + first) * stride + head * s.head_size;
    const std::int64_t pack = sequence * p.key_value_heads + head / group;
    const std::int64_t rest = p.sequence - first;
    context.kernels.row.attend(
        {.query = p.query.f32() + offset,
         .packed_key = keys.data() + pack * s.padded_sequence * s.head_size,
         .packed_value = values.data() + pack * s.padded_sequence * s.padded_head,
         .out = p.out.f32() + offset,
         .scratch = scratch,
         .row_stride = stride,
         .first_query = first,
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

}  // namespace ballast::cpu
