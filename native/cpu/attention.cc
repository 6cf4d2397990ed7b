// Softmax attention, tile by tile over the keys, so that no [sequence, sequence] matrix exists
// (tiles as in arXiv 2205.14135). Q Kᵀ and P V are products like any other, in the precision asked
// for: keys and values of a few heads are packed once, then blocks of queries run in parallel. The
// work of a block does not depend on the number of threads, so neither does the result.
#include "native/cpu/attention.h"

#include "native/core/divide_up.h"
#include "native/cpu/attention_block.h"
#include "native/cpu/rows.h"

namespace ballast::cpu {

void Attention(const Context& context, const AttentionParams& params) {
  // Of packed keys and values at a time: work for many threads, and still in the last cache.
  constexpr std::int64_t kPackedBytes = 8 << 20;
  const GemmKernels& gemm = NarrowGemmFor(context, params.precision);
  const PackedHeads heads(gemm, params);
  if (heads.pairs() == 0) return;
  const std::int64_t step =
      std::clamp<std::int64_t>(kPackedBytes / heads.bytes(), 1, heads.pairs());
  Scratch<std::byte> packed(step * heads.bytes(), context.blocks);
  const std::int64_t group = params.heads / params.key_value_heads;
  const std::int64_t rows = AttentionBlock::QueriesOf(gemm);
  const std::int64_t blocks = DivideUp(params.sequence, rows);
  for (std::int64_t first = 0; first < heads.pairs(); first += step) {
    const std::int64_t count = std::min(step, heads.pairs() - first);
    const auto of_pair = [&](std::int64_t pair) {
      return packed.data() + (pair - first) * heads.bytes();
    };
    ForEachRow(context, count * heads.tiles(), 1, [&](std::int64_t i) {
      const std::int64_t pair = first + i / heads.tiles();
      heads.Pack(pair, i % heads.tiles(), of_pair(pair));
    });
    const std::int64_t blocks_of_task =
        std::clamp<std::int64_t>(count * blocks * group / (8 * context.pool.threads()), 1, 8);
    // The last blocks of a causal sequence see the most keys: of a pair they go first, so that no
    // thread ends late.
    context.pool.ParallelFor(
        count * blocks * group, blocks_of_task,
        [&](std::int64_t begin, std::int64_t end) {
          AttentionBlock block(context.kernels, gemm, params, heads);
          for (std::int64_t i = begin; i < end; ++i) {
            const std::int64_t pair = first + i / (blocks * group);
            const std::int64_t from_last = i / group % blocks;
            const std::int64_t head = pair % params.key_value_heads * group + i % group;
            block.Run(pair / params.key_value_heads, head, (blocks - 1 - from_last) * rows,
                      of_pair(pair));
          }
        },
        context.cancel);
  }
}

}  // namespace ballast::cpu
