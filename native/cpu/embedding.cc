// Ids are checked before anything is written: they come from text and configuration, not from us.
#include "native/cpu/embedding.h"

#include "native/cpu/conversion.h"
#include "native/cpu/index_check.h"
#include "native/cpu/rows.h"

namespace ballast::cpu {

void Embedding(const Context& context, const EmbeddingParams& p) {
  const std::int64_t tokens = p.ids.shape.elements(), channels = p.table.cols();
  CheckIndex("token ids", p.ids, p.table.rows());
  ForEachRow(context, tokens, RowsOfTask(channels), [&](std::int64_t i) {
    ReadFloats(context.kernels, p.table, p.ids.i32()[i] * channels, channels,
               p.out.f32() + i * channels);
  });
}

}  // namespace ballast::cpu
