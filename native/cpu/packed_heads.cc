#include "native/cpu/packed_heads.h"

#include "native/core/divide_up.h"

namespace ballast::cpu {

PackedHeads::PackedHeads(const GemmKernels& kernels, const AttentionParams& params)
    : kernels_(kernels),
      params_(params),
      head_size_(params.query.cols() / params.heads),
      padded_head_(RoundUp(head_size_, kernels.panel_columns)),
      stretches_(DivideUp(head_size_, kernels.depth)),
      tiles_(DivideUp(params.sequence, kTile)),
      key_bytes_(stretches_ * kTile / kernels.panel_columns *
                 kernels.panel_bytes(std::min(head_size_, kernels.depth))),
      value_bytes_(padded_head_ / kernels.panel_columns * kernels.panel_bytes(kTile)) {}

void PackedHeads::Pack(std::int64_t pair, std::int64_t tile, std::byte* packed) const {
  const std::int64_t stride = params_.key.cols();
  const std::int64_t offset =
      pair / key_value_heads() * params_.sequence * stride + pair % key_value_heads() * head_size_;
  const Part keys = Tile(tile);
  const Operand key = {.data = params_.key.f32() + offset, .stride = stride};
  for (std::int64_t s = 0; s < stretches_; ++s) {
    const Part channels = Stretch(s);
    kernels_.pack_block(key, {keys.begin, keys.size, channels.begin, channels.size}, 0, keys.size,
                        Keys(packed, tile, s));
  }
  const Operand value = {
      .data = params_.value.f32() + offset, .stride = stride, .depth_contiguous = false};
  kernels_.pack_block(value, {0, head_size_, keys.begin, keys.size}, 0, head_size_,
                      Values(packed, tile));
}

}  // namespace ballast::cpu
