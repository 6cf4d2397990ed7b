// From weights to codes and back, and fake quantization of activations. Formulas:
// native/backend/params.h.
#pragma once

#include <utility>

#include "native/ops/check.h"
#include "native/ops/device.h"

namespace ballast {

void ExpectScheme(const Scheme& scheme);
// Of a weight [out, in].
void ExpectScales(const Tensor& scales, const Tensor& zeros, std::int64_t out, std::int64_t in);

// How many groups a row of `in` weights has; throws when the group size does not divide it.
std::int64_t GroupCount(std::int64_t in, std::int64_t group_size);

struct ScalesAndZeros {
  Tensor scales;  // [out, groups] float32
  Tensor zeros;   // [out, groups] float32
};
ScalesAndZeros FindScales(Device& device, const Tensor& weight,
                          const OptionalTensor& channel_weights, const Scheme& scheme);

// [out, in] uint8.
Tensor Quantize(Device& device, const Tensor& weight, const Tensor& scales, const Tensor& zeros,
                const OptionalTensor& group_index, std::int64_t bits);
Tensor Dequantize(Device& device, const Tensor& codes, const Tensor& scales, const Tensor& zeros,
                  const OptionalTensor& group_index, DType dtype);

// Codes [out, in] uint8 of float8_e4m3fn times the scales of their blocks.
Tensor DequantizeFloat8(Device& device, const Tensor& codes, const Tensor& scales,
                        std::int64_t block_rows, std::int64_t block_columns, std::int64_t first_row,
                        DType dtype);

// Codes of float4_e2m1, two in a byte of [out, in / 2], times the powers of two of their blocks.
Tensor DequantizeFloat4(Device& device, const Tensor& codes, const Tensor& scales, DType dtype);

// Codes [out, in] uint8 of 1 to 8 bits as words [out, ceil(in·bits / 32)] int32, and back.
Tensor PackCodes(Device& device, const Tensor& codes, std::int64_t bits);
Tensor UnpackCodes(Device& device, const Tensor& words, std::int64_t bits, std::int64_t in);

struct GridCodes {
  Tensor codes;   // [out, in] uint8
  Tensor scales;  // [out, in/32] float32
  Tensor zeros;   // [out, in/32] float32
};
// Such a grid of 4, 5 (symmetric or not) or 8 bits (symmetric) as blocks [out, in/32·bytes] uint8,
// and back. Layout: backend/params.h.
Tensor PackBlocks(Device& device, const Tensor& codes, const Tensor& scales, const Tensor& zeros,
                  std::int64_t bits, bool symmetric);
GridCodes UnpackBlocks(Device& device, const Tensor& blocks, std::int64_t bits, bool symmetric);

struct FakeQuantizeOptions {
  Granularity granularity = Granularity::kTensor;
  std::int64_t group_size = 0;
  std::int64_t bits = 8;
  bool symmetric = false;
};
// channel_sum [c] float64 is updated in place.
Tensor FakeQuantize(Device& device, const Tensor& x, const OptionalTensor& scales,
                    const OptionalTensor& zeros, const OptionalTensor& channel_sum,
                    const FakeQuantizeOptions& options);

struct Factor {
  Tensor factor;  // [n, n] float32, R or R⁻¹
  Tensor info;    // [1] float64, the damping that was used
};
Factor Factorize(Device& device, const Tensor& matrix, double damping, double max_damping,
                 bool inverse);

struct GptqResult {
  Tensor codes;
  Tensor scales;
  Tensor zeros;
  Tensor errors;
};
// With `fixed` scales and zeros (and group_index) these are used and returned; else they are found.
GptqResult Gptq(Device& device, const Tensor& weight, const Tensor& factor,
                const OptionalTensor& channel_weights, const OptionalTensor& fixed_scales,
                const OptionalTensor& fixed_zeros, const OptionalTensor& group_index,
                const Scheme& scheme, Precision precision);

}  // namespace ballast
