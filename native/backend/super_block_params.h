// Operands and options of the operations on grids of super-blocks; legend: params.h.
#pragma once

#include <cstdint>

#include "native/core/everywhere.h"
#include "native/core/view.h"

namespace ballast {

// What ggml's types Q2_K … Q6_K make of a grid of so many bits (source: ggml-common.h): 256 columns
// of a row are a super-block, whose scales are whole multiples 1 … most of one float16 number and
// whose offsets scale·zero are multiples 0 … most of another; symmetric ones have the zero
// 2^(bits−1).
struct SuperBlock {
  static constexpr std::int64_t kColumns = 256;

  std::int64_t group_size;
  int most;
  bool symmetric;

  std::int64_t groups() const { return kColumns / group_size; }
};
constexpr bool HasSuperBlocks(std::int64_t bits) { return bits >= 2 && bits <= 6; }
BALLAST_EVERYWHERE constexpr SuperBlock SuperBlockOf(std::int64_t bits) {
  if (bits == 2) return {16, 15, false};
  if (bits == 3) return {16, 31, true};
  if (bits == 6) return {16, 127, true};
  return {32, 63, false};
}

// A grid of super-blocks near one that was found without: each step, of the scales and of the
// offsets, is the largest of a super-block's over `most`, rounded to float16, and scales and
// offsets go to the nearest multiple. A group of nothing but zeros has no say in the steps. Zeros
// are the float32 quotient of the offset and the scale.
struct SuperScalesParams {
  View weight;        // [out, in] weight type
  View scales;        // [out, g] float32, in and out
  View zeros;         // [out, g] float32, in and out
  View scale_steps;   // out: [out, in/256] float32
  View offset_steps;  // out: [out, in/256] float32; 0 where the grid is symmetric
  int bits = 4;
};

// Codes in super-blocks (layout: super_block_bytes.h), from scales and zeros as
// SuperScalesParams make them; a super-block of others has NaN for its steps.
struct SuperBlocksParams {
  View codes;   // [out, in] uint8
  View scales;  // [out, g] float32
  View zeros;   // [out, g] float32
  View blocks;  // [out, in/256·bytes of a super-block] uint8
  int bits = 4;
};

}  // namespace ballast
