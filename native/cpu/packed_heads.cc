#include "native/cpu/packed_heads.h"

namespace ballast::cpu {
namespace {

// Of a tile, but for what fills its last strip. Less than the depth of any kernel.
constexpr std::int64_t kMostKeys = 128;

// Tiles of a sequence are equally large, as far as whole strips allow.
std::int64_t TileKeys(const GemmKernels& kernels, std::int64_t sequence) {
  return RoundUp(DivideUp(sequence, DivideUp(sequence, kMostKeys)), kernels.strip_rows);
}

}  // namespace

PackedHeads::PackedHeads(const GemmKernels& kernels, const AttentionParams& params)
    : kernels_(kernels),
      params_(params),
      head_size_(params.query.cols() / params.heads),
      tile_keys_(TileKeys(kernels, params.sequence)),
      stretches_(DivideUp(head_size_, kernels.depth)),
      tiles_(DivideUp(params.sequence, tile_keys_)),
      key_bytes_(stretches_ * StripBytes(tile_keys_, std::min(head_size_, kernels.depth))),
      value_bytes_(StripBytes(head_size_, tile_keys_)) {}

void PackedHeads::Pack(std::int64_t pair, std::int64_t tile, std::byte* packed) const {
  const std::int64_t stride = params_.key.cols();
  const std::int64_t offset =
      pair / key_value_heads() * params_.sequence * stride + pair % key_value_heads() * head_size_;
  const Part keys = Tile(tile);
  const Operand key = {.data = params_.key.f32() + offset, .stride = stride};
  for (std::int64_t s = 0; s < stretches_; ++s) {
    const Part channels = Stretch(s);
    kernels_.pack_strips(key, {keys.begin, keys.size, channels.begin, channels.size},
                         packed + KeysAt(tile, s));
  }
  const Operand value = {
      .data = params_.value.f32() + offset, .stride = stride, .depth_contiguous = false};
  kernels_.pack_strips(value, {0, head_size_, keys.begin, keys.size}, packed + ValuesAt(tile));
}

}  // namespace ballast::cpu
