// Keys and values of attention's heads as right factors of two products, Q Kᵀ and P V, in tiles of
// keys: of a tile of keys the keys are items and the channels the depth, of values the other way.
// A "pair" is a sequence and a key/value head.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "native/cpu/gemm.h"

namespace ballast::cpu {

class PackedHeads {
 public:
  // Keys that go through the softmax at a time: whole panels, and less than the depth of any
  // kernel.
  static constexpr std::int64_t kTile = 128;

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
  // Channels rounded up to whole panels.
  std::int64_t padded_head() const { return padded_head_; }

  Part Tile(std::int64_t tile) const { return PartOf(tile, kTile, params_.sequence); }
  // Channels are as many stretches as the kernel's depth has it.
  std::int64_t stretches() const { return stretches_; }
  Part Stretch(std::int64_t stretch) const { return PartOf(stretch, kernels_.depth, head_size_); }

  std::byte* Keys(std::byte* packed, std::int64_t tile, std::int64_t stretch) const {
    return packed + (tile * stretches_ + stretch) * (key_bytes_ / stretches_);
  }
  std::byte* Values(std::byte* packed, std::int64_t tile) const {
    return packed + tiles_ * key_bytes_ + tile * value_bytes_;
  }

  // A tile of a pair's keys and values.
  void Pack(std::int64_t pair, std::int64_t tile, std::byte* packed) const;

 private:
  static Part PartOf(std::int64_t i, std::int64_t size, std::int64_t whole) {
    return {i * size, std::min(size, whole - i * size)};
  }

  const GemmKernels& kernels_;
  const AttentionParams& params_;
  const std::int64_t head_size_;
  const std::int64_t padded_head_;
  const std::int64_t stretches_;
  const std::int64_t tiles_;      // of a sequence
  const std::int64_t key_bytes_;  // of a tile
  const std::int64_t value_bytes_;
};

}  // namespace ballast::cpu
