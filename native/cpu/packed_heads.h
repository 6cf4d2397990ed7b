// Keys and values of attention's heads as left factors of two products, K Qᵀ and Vᵀ P, in tiles of
// keys: of a tile of keys the keys are items and the channels the depth, of values the other way.
// A "pair" is a sequence and a key/value head.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "native/core/divide_up.h"
#include "native/cpu/gemm.h"

namespace ballast::cpu {

class PackedHeads {
 public:
  // A stretch of keys or of channels.
  struct Part {
    std::int64_t begin, size;
  };

  PackedHeads(const GemmKernels& kernels, const AttentionParams& params);

  // Of a pair.
  std::int64_t bytes() const { return tiles_ * (key_bytes_ + value_bytes_); }
  std::int64_t pairs() const { return params_.key.rows() / params_.sequence * key_value_heads(); }
  std::int64_t tiles() const { return tiles_; }
  std::int64_t key_value_heads() const { return params_.key_value_heads; }
  std::int64_t head_size() const { return head_size_; }

  // Keys that go through the softmax at a time: whole strips.
  std::int64_t tile_keys() const { return tile_keys_; }
  Part Tile(std::int64_t tile) const { return PartOf(tile, tile_keys_, params_.sequence); }
  // Channels are as many stretches as the kernel's depth has it.
  std::int64_t stretches() const { return stretches_; }
  Part Stretch(std::int64_t stretch) const { return PartOf(stretch, kernels_.depth, head_size_); }

  // The strip of a tile that holds a key; a channel of the values.
  const std::byte* Keys(const std::byte* packed, std::int64_t tile, std::int64_t stretch,
                        std::int64_t key) const {
    return packed + KeysAt(tile, stretch) + StripBytes(key, Stretch(stretch).size);
  }
  const std::byte* Values(const std::byte* packed, std::int64_t tile, std::int64_t channel) const {
    return packed + ValuesAt(tile) + StripBytes(channel, Tile(tile).size);
  }

  // A tile of a pair's keys and values.
  void Pack(std::int64_t pair, std::int64_t tile, std::byte* packed) const;

 private:
  static Part PartOf(std::int64_t i, std::int64_t size, std::int64_t whole) {
    return {i * size, std::min(size, whole - i * size)};
  }
  std::int64_t StripBytes(std::int64_t items, std::int64_t depth) const {
    return DivideUp(items, kernels_.strip_rows) * kernels_.strip_bytes(depth);
  }
  std::int64_t KeysAt(std::int64_t tile, std::int64_t stretch) const {
    return tile * key_bytes_ + stretch * (key_bytes_ / stretches_);
  }
  std::int64_t ValuesAt(std::int64_t tile) const {
    return tiles_ * key_bytes_ + tile * value_bytes_;
  }

  const GemmKernels& kernels_;
  const AttentionParams& params_;
  const std::int64_t head_size_;
  const std::int64_t tile_keys_;
  const std::int64_t stretches_;
  const std::int64_t tiles_;      // of a sequence
  const std::int64_t key_bytes_;  // of a tile
  const std::int64_t value_bytes_;
};

}  // namespace ballast::cpu
