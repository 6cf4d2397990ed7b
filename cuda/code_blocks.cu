// Codes in blocks beside their scales, as GGUF files hold them: a thread makes one block, or one
// block's codes. Blocks lie at even addresses, so what is wider is moved by bytes or halves.
#include <cuda_fp16.h>

#include "cuda/grid_loop.cuh"
#include "cuda/operations.h"

namespace ballast::cuda {
namespace {

constexpr int kValues = CodeBlocksParams::kValues;
constexpr int kHalf = kValues / 2;

__device__ void PackValues(const std::uint8_t* codes, int bits, std::uint8_t* out) {
  if (bits == 8) {
    for (int i = 0; i < kValues; ++i) out[i] = codes[i] ^ 0x80;
    return;
  }
  if (bits == 5) {
    std::uint32_t fifths = 0;
    for (int i = 0; i < kValues; ++i) fifths |= (codes[i] >> 4 & 1u) << i;
    for (int i = 0; i < 4; ++i) *out++ = static_cast<std::uint8_t>(fifths >> 8 * i);
  }
  for (int i = 0; i < kHalf; ++i) {
    out[i] = static_cast<std::uint8_t>((codes[i] & 15) | codes[i + kHalf] << 4);
  }
}

__device__ void UnpackValues(const std::uint8_t* in, int bits, std::uint8_t* codes) {
  if (bits == 8) {
    for (int i = 0; i < kValues; ++i) codes[i] = in[i] ^ 0x80;
    return;
  }
  std::uint32_t fifths = 0;
  if (bits == 5) {
    for (int i = 0; i < 4; ++i) fifths |= static_cast<std::uint32_t>(*in++) << 8 * i;
  }
  for (int i = 0; i < kHalf; ++i) {
    codes[i] = static_cast<std::uint8_t>((in[i] & 15) | (fifths >> i & 1) << 4);
    codes[i + kHalf] = static_cast<std::uint8_t>(in[i] >> 4 | (fifths >> (i + kHalf) & 1) << 4);
  }
}

}  // namespace

void PackBlocks(const Context& context, const CodeBlocksParams& params) {
  const std::int64_t bytes = params.BlockBytes(), head = params.HeadBytes();
  const int bits = params.bits;
  const bool symmetric = params.symmetric;
  const std::uint8_t* codes = params.codes.u8();
  const float* scales = params.scales.f32();
  const float* zeros = params.zeros.f32();
  std::uint8_t* const blocks = params.blocks.u8();
  ForEach(context, "packing blocks", params.scales.shape.elements(),
          [=] __device__(std::int64_t i) {
            std::uint8_t* block = blocks + i * bytes;
            auto* const numbers = reinterpret_cast<__half*>(block);
            numbers[0] = __float2half_rn(scales[i]);
            if (!symmetric) numbers[1] = __float2half_rn(-scales[i] * zeros[i]);
            PackValues(codes + i * kValues, bits, block + head);
          });
}

void UnpackBlocks(const Context& context, const CodeBlocksParams& params) {
  const std::int64_t bytes = params.BlockBytes(), head = params.HeadBytes();
  const int bits = params.bits;
  const bool symmetric = params.symmetric;
  std::uint8_t* const codes = params.codes.u8();
  float* const scales = params.scales.f32();
  float* const zeros = params.zeros.f32();
  const std::uint8_t* blocks = params.blocks.u8();
  ForEach(context, "unpacking blocks", params.scales.shape.elements(),
          [=] __device__(std::int64_t i) {
            const std::uint8_t* block = blocks + i * bytes;
            const auto* const numbers = reinterpret_cast<const __half*>(block);
            const float scale = __half2float(numbers[0]);
            const float offset = symmetric ? 0.0f : __half2float(numbers[1]);
            scales[i] = scale;
            if (symmetric) {
              zeros[i] = static_cast<float>(1 << (bits - 1));
            } else {
              zeros[i] = scale == 0 || offset == 0 ? 0.0f : -offset / scale;
            }
            UnpackValues(block + head, bits, codes + i * kValues);
          });
}

}  // namespace ballast::cuda
