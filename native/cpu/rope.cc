// Tokens in parallel; each head of a token is rotated by the token's row of the tables (arXiv
// 2104.09864).
#include "native/cpu/rope.h"

#include <cstring>

#include "native/cpu/rows.h"

namespace ballast::cpu {

void Rope(const Context& context, const RopeParams& p) {
  const std::int64_t channels = p.x.cols(), half = p.cos.cols();
  ForEachRow(context, p.x.rows(), RowsOfTask(channels), [&](std::int64_t row) {
    const std::int64_t position = row % p.sequence;
    const float* x = p.x.f32() + row * channels;
    float* out = p.out.f32() + row * channels;
    // Channels beyond the rotated ones pass through.
    if (x != out) std::memcpy(out, x, static_cast<std::size_t>(channels) * sizeof(float));
    for (std::int64_t c = 0; c < channels; c += p.head_size) {
      context.kernels.row.rope(x + c, p.cos.f32() + position * half, p.sin.f32() + position * half,
                               half, p.interleaved, out + c);
    }
  });
}

}  // namespace ballast::cpu
