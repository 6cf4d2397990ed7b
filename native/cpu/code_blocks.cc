#include "native/cpu/code_blocks.h"

#include <algorithm>
#include <cstring>

#include "native/cpu/rows.h"

namespace ballast::cpu {
namespace {

constexpr std::int64_t kValues = CodeBlocksParams::kValues;
constexpr std::int64_t kHalf = kValues / 2;

template <int kBits>
void PackBlock(const std::uint8_t* codes, std::uint8_t* out) {
  if constexpr (kBits == 8) {
    for (std::int64_t i = 0; i < kValues; ++i) out[i] = codes[i] ^ 0x80;
    return;
  }
  if constexpr (kBits == 5) {
    std::uint32_t fifths = 0;
    for (std::int64_t i = 0; i < kValues; ++i) fifths |= (codes[i] >> 4 & 1u) << i;
    std::memcpy(out, &fifths, sizeof fifths);
    out += sizeof fifths;
  }
  for (std::int64_t i = 0; i < kHalf; ++i) {
    out[i] = static_cast<std::uint8_t>((codes[i] & 15) | codes[i + kHalf] << 4);
  }
}

template <int kBits>
void UnpackBlock(const std::uint8_t* in, std::uint8_t* codes) {
  if constexpr (kBits == 8) {
    for (std::int64_t i = 0; i < kValues; ++i) codes[i] = in[i] ^ 0x80;
    return;
  }
  std::uint32_t fifths = 0;
  if constexpr (kBits == 5) {
    std::memcpy(&fifths, in, sizeof fifths);
    in += sizeof fifths;
  }
  for (std::int64_t i = 0; i < kHalf; ++i) {
    codes[i] = static_cast<std::uint8_t>((in[i] & 15) | (fifths >> i & 1) << 4);
    codes[i + kHalf] = static_cast<std::uint8_t>(in[i] >> 4 | (fifths >> (i + kHalf) & 1) << 4);
  }
}

// The kernel for each number of bits: f with the bits as a constant.
template <class F>
void WithBits(int bits, F f) {
  if (bits == 4) return f.template operator()<4>();
  if (bits == 5) return f.template operator()<5>();
  f.template operator()<8>();
}

// Scales and offsets of some blocks, in either form.
struct Heads {
  static constexpr std::int64_t kMost = 64;
  float scale[kMost], offset[kMost];
  std::uint16_t scale_bits[kMost], offset_bits[kMost];
};

// body(first, count, heads) for all blocks, numbered through, up to kMost of a row at a time.
template <class Body>
void ForEachStretch(const Context& context, const CodeBlocksParams& p, Body body) {
  const std::int64_t groups = p.scales.cols();
  ForEachRow(context, p.scales.rows(), RowsOfTask(groups * kValues), [&](std::int64_t row) {
    Heads heads;
    for (std::int64_t g = 0; g < groups; g += Heads::kMost) {
      body(row * groups + g, std::min(Heads::kMost, groups - g), heads);
    }
  });
}

}  // namespace

void PackBlocks(const Context& context, const CodeBlocksParams& p) {
  const RowKernels& row = context.kernels.row;
  WithBits(p.bits, [&]<int kBits>() {
    ForEachStretch(context, p, [&](std::int64_t first, std::int64_t count, Heads& heads) {
      const float* scales = p.scales.f32() + first;
      const float* zeros = p.zeros.f32() + first;
      for (std::int64_t i = 0; i < count; ++i) heads.offset[i] = -scales[i] * zeros[i];
      row.float_to_half(scales, count, heads.scale_bits);
      row.float_to_half(heads.offset, count, heads.offset_bits);
      std::uint8_t* block = p.blocks.u8() + first * p.BlockBytes();
      for (std::int64_t i = 0; i < count; ++i, block += p.BlockBytes()) {
        std::memcpy(block, heads.scale_bits + i, 2);
        if (!p.symmetric) std::memcpy(block + 2, heads.offset_bits + i, 2);
        PackBlock<kBits>(p.codes.u8() + (first + i) * kValues, block + p.HeadBytes());
      }
    });
  });
}

void UnpackBlocks(const Context& context, const CodeBlocksParams& p) {
  const RowKernels& row = context.kernels.row;
  WithBits(p.bits, [&]<int kBits>() {
    ForEachStretch(context, p, [&](std::int64_t first, std::int64_t count, Heads& heads) {
      const std::uint8_t* block = p.blocks.u8() + first * p.BlockBytes();
      for (std::int64_t i = 0; i < count; ++i, block += p.BlockBytes()) {
        std::memcpy(heads.scale_bits + i, block, 2);
        if (!p.symmetric) std::memcpy(heads.offset_bits + i, block + 2, 2);
        UnpackBlock<kBits>(block + p.HeadBytes(), p.codes.u8() + (first + i) * kValues);
      }
      row.half_to_float(heads.scale_bits, count, p.scales.f32() + first);
      float* const zeros = p.zeros.f32() + first;
      if (p.symmetric) {
        std::fill_n(zeros, count, static_cast<float>(1 << (kBits - 1)));
        return;
      }
      row.half_to_float(heads.offset_bits, count, heads.offset);
      const float* scales = p.scales.f32() + first;
      for (std::int64_t i = 0; i < count; ++i) {
        const bool none = scales[i] == 0 || heads.offset[i] == 0;
        zeros[i] = none ? 0 : -heads.offset[i] / scales[i];
      }
    });
  });
}

}  // namespace ballast::cpu
