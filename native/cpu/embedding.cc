// Ids are checked before anything is written: they come from text and configuration, not from us.
#include "native/cpu/embedding.h"

#include <algorithm>

#include "native/cpu/conversion.h"
#include "native/cpu/index_check.h"

namespace ballast::cpu {

void Embedding(const Context& context, const EmbeddingParams& p) {
  const std::int64_t tokens = p.ids.shape.elements(), channels = p.table.cols();
  CheckIndex("token ids", p.ids, p.table.rows());
  const std::int64_t grain = std::max<std::int64_t>(32768 / std::max<std::int64_t>(channels, 1), 1);
  context.pool.ParallelFor(
      tokens, grain,
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          ReadFloats(context.kernels, p.table, p.ids.i32()[i] * channels, channels,
                     p.out.f32() + i * channels);
        }
      },
      context.cancel);
}

}  // namespace ballast::cpu
