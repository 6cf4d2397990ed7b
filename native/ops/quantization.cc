#include "native/ops/quantization.h"

#include "native/core/divide_up.h"

namespace ballast {
namespace {

void ExpectGroupIndex(const OptionalTensor& group_index, std::int64_t in) {
  if (!group_index) return;
  ExpectDType("group index", *group_index, DType::kInt32);
  ExpectShape("group index", *group_index, {in});
}

std::int64_t WordCount(std::int64_t codes, std::int64_t bits) {
  ExpectThat(bits >= 1 && bits <= 8, "Expected 1 to 8 bits.");
  return DivideUp(codes * bits, 32);
}

CodeBlocksParams BlocksOf(std::int64_t bits, bool symmetric) {
  ExpectThat(bits == 4 || bits == 5 || (bits == 8 && symmetric),
             "Expected blocks of 4, 5 or, symmetric, 8 bits.");
  CodeBlocksParams params;
  params.bits = static_cast<int>(bits);
  params.symmetric = symmetric;
  return params;
}

}  // namespace

void ExpectScheme(const Scheme& scheme) {
  ExpectThat(scheme.bits >= 1 && scheme.bits <= 8, "Expected 1 to 8 bits.");
  ExpectThat(IsWeightType(scheme.scale_dtype),
             "Expected float32, float16 or bfloat16 for the dtype of the scales.");
}

void ExpectScales(const Tensor& scales, const Tensor& zeros, std::int64_t out, std::int64_t in) {
  ExpectDType("scales", scales, DType::kFloat32);
  ExpectRank("scales", scales, 2);
  ExpectThat(scales.rows() == out && scales.cols() > 0 && in % scales.cols() == 0,
             "Expected scales of " + std::to_string(out) + " rows whose groups divide " +
                 std::to_string(in) + " columns but received " + scales.shape().ToString() + ".");
  ExpectFloat32("zeros", zeros, scales.shape());
}

std::int64_t GroupCount(std::int64_t in, std::int64_t group_size) {
  if (group_size == 0) return 1;
  ExpectThat(group_size > 0 && in % group_size == 0,
             "Expected a group size that divides " + std::to_string(in) +
                 " input channels but received " + std::to_string(group_size) + ".");
  return in / group_size;
}

ScalesAndZeros FindScales(Device& device, const Tensor& weight,
                          const OptionalTensor& channel_weights, const Scheme& scheme) {
  ExpectWeightType("weight", weight);
  ExpectRank("weight", weight, 2);
  ExpectScheme(scheme);
  if (channel_weights) ExpectFloat32("channel weights", *channel_weights, {weight.cols()});
  const Shape shape{weight.rows(), GroupCount(weight.cols(), scheme.group_size)};
  ScalesAndZeros out{device.Empty(DType::kFloat32, shape), device.Empty(DType::kFloat32, shape)};
  device.Enqueue([=](Backend& backend) {
    backend.FindScales({.weight = weight.Read(),
                        .channel_weights = ReadOptional(channel_weights),
                        .scales = out.scales.Write(),
                        .zeros = out.zeros.Write(),
                        .scheme = scheme});
  });
  return out;
}

Tensor Quantize(Device& device, const Tensor& weight, const Tensor& scales, const Tensor& zeros,
                const OptionalTensor& group_index, std::int64_t bits) {
  ExpectWeightType("weight", weight);
  ExpectRank("weight", weight, 2);
  ExpectScales(scales, zeros, weight.rows(), weight.cols());
  ExpectGroupIndex(group_index, weight.cols());
  ExpectThat(bits >= 1 && bits <= 8, "Expected 1 to 8 bits.");
  Tensor out = device.Empty(DType::kUint8, weight.shape());
  device.Enqueue([=](Backend& backend) {
    backend.Quantize({.weight = weight.Read(),
                      .scales = scales.Read(),
                      .zeros = zeros.Read(),
                      .group_index = ReadOptional(group_index),
                      .codes = out.Write(),
                      .bits = static_cast<int>(bits)});
  });
  return out;
}

Tensor Dequantize(Device& device, const Tensor& codes, const Tensor& scales, const Tensor& zeros,
                  const OptionalTensor& group_index, DType dtype) {
  ExpectDType("codes", codes, DType::kUint8);
  ExpectRank("codes", codes, 2);
  ExpectScales(scales, zeros, codes.rows(), codes.cols());
  ExpectGroupIndex(group_index, codes.cols());
  Tensor out = device.Empty(dtype, codes.shape());
  ExpectWeightType("the dequantized weight", out);
  device.Enqueue([=](Backend& backend) {
    backend.Dequantize({.codes = codes.Read(),
                        .scales = scales.Read(),
                        .zeros = zeros.Read(),
                        .group_index = ReadOptional(group_index),
                        .out = out.Write()});
  });
  return out;
}

Tensor DequantizeFloat8(Device& device, const Tensor& codes, const Tensor& scales,
                        std::int64_t block_rows, std::int64_t block_columns, std::int64_t first_row,
                        DType dtype) {
  ExpectDType("codes", codes, DType::kUint8);
  ExpectRank("codes", codes, 2);
  ExpectDType("scales", scales, DType::kFloat32);
  ExpectRank("scales", scales, 2);
  ExpectThat(block_rows > 0 && block_columns > 0 && first_row >= 0,
             "Expected blocks of one row and column at least, and no negative first row.");
  ExpectThat(scales.rows() >= DivideUp(first_row + codes.rows(), block_rows) &&
                 scales.cols() == DivideUp(codes.cols(), block_columns),
             "Expected a scale for each block of " + std::to_string(block_rows) + " by " +
                 std::to_string(block_columns) + " of " + codes.shape().ToString() +
                 " codes but received " + scales.shape().ToString() + ".");
  Tensor out = device.Empty(dtype, codes.shape());
  ExpectWeightType("the dequantized weight", out);
  device.Enqueue([=](Backend& backend) {
    backend.DequantizeFloat8({.codes = codes.Read(),
                              .scales = scales.Read(),
                              .out = out.Write(),
                              .block_rows = block_rows,
                              .block_columns = block_columns,
                              .first_row = first_row});
  });
  return out;
}

Tensor DequantizeFloat4(Device& device, const Tensor& codes, const Tensor& scales, DType dtype) {
  ExpectDType("codes", codes, DType::kUint8);
  ExpectRank("codes", codes, 2);
  constexpr std::int64_t kBytes = DequantizeFloat4Params::kValues / 2;
  ExpectThat(codes.cols() % kBytes == 0,
             "Expected whole blocks of " + std::to_string(DequantizeFloat4Params::kValues) +
                 " codes, two in a byte, but received " + codes.shape().ToString() + " bytes.");
  ExpectDType("scales", scales, DType::kUint8);
  ExpectShape("scales", scales, {codes.rows(), codes.cols() / kBytes});
  Tensor out = device.Empty(dtype, {codes.rows(), codes.cols() * 2});
  ExpectWeightType("the dequantized weight", out);
  device.Enqueue([=](Backend& backend) {
    backend.DequantizeFloat4({.codes = codes.Read(), .scales = scales.Read(), .out = out.Write()});
  });
  return out;
}

Tensor PackCodes(Device& device, const Tensor& codes, std::int64_t bits) {
  ExpectDType("codes", codes, DType::kUint8);
  ExpectRank("codes", codes, 2);
  Tensor out = device.Empty(DType::kInt32, {codes.rows(), WordCount(codes.cols(), bits)});
  device.Enqueue([=](Backend& backend) {
    backend.PackCodes(
        {.codes = codes.Read(), .words = out.Write(), .bits = static_cast<int>(bits)});
  });
  return out;
}

Tensor UnpackCodes(Device& device, const Tensor& words, std::int64_t bits, std::int64_t in) {
  ExpectDType("words", words, DType::kInt32);
  ExpectRank("words", words, 2);
  ExpectThat(in >= 0, "Expected no negative number of codes.");
  ExpectShape("words", words, {words.rows(), WordCount(in, bits)});
  Tensor out = device.Empty(DType::kUint8, {words.rows(), in});
  device.Enqueue([=](Backend& backend) {
    backend.UnpackCodes(
        {.codes = out.Write(), .words = words.Read(), .bits = static_cast<int>(bits)});
  });
  return out;
}

Tensor PackBlocks(Device& device, const Tensor& codes, const Tensor& scales, const Tensor& zeros,
                  std::int64_t bits, bool symmetric) {
  const CodeBlocksParams format = BlocksOf(bits, symmetric);
  ExpectDType("codes", codes, DType::kUint8);
  ExpectRank("codes", codes, 2);
  ExpectThat(codes.cols() % CodeBlocksParams::kValues == 0, "Expected rows of whole blocks.");
  const Shape groups{codes.rows(), codes.cols() / CodeBlocksParams::kValues};
  ExpectFloat32("scales", scales, groups);
  ExpectFloat32("zeros", zeros, groups);
  Tensor out = device.Empty(DType::kUint8, {codes.rows(), scales.cols() * format.BlockBytes()});
  device.Enqueue([=](Backend& backend) {
    CodeBlocksParams p = format;
    p.codes = codes.Read();
    p.scales = scales.Read();
    p.zeros = zeros.Read();
    p.blocks = out.Write();
    backend.PackBlocks(p);
  });
  return out;
}

GridCodes UnpackBlocks(Device& device, const Tensor& blocks, std::int64_t bits, bool symmetric) {
  const CodeBlocksParams format = BlocksOf(bits, symmetric);
  ExpectDType("blocks", blocks, DType::kUint8);
  ExpectRank("blocks", blocks, 2);
  ExpectThat(blocks.cols() % format.BlockBytes() == 0, "Expected rows of whole blocks.");
  const std::int64_t rows = blocks.rows(), groups = blocks.cols() / format.BlockBytes();
  GridCodes out{device.Empty(DType::kUint8, {rows, groups * CodeBlocksParams::kValues}),
                device.Empty(DType::kFloat32, {rows, groups}),
                device.Empty(DType::kFloat32, {rows, groups})};
  device.Enqueue([=](Backend& backend) {
    CodeBlocksParams p = format;
    p.codes = out.codes.Write();
    p.scales = out.scales.Write();
    p.zeros = out.zeros.Write();
    p.blocks = blocks.Read();
    backend.UnpackBlocks(p);
  });
  return out;
}

Tensor FakeQuantize(Device& device, const Tensor& x, const OptionalTensor& scales,
                    const OptionalTensor& zeros, const OptionalTensor& channel_sum,
                    const FakeQuantizeOptions& options) {
  ExpectDType("x", x, DType::kFloat32);
  ExpectThat(scales.has_value() == zeros.has_value(), "Expected scales and zeros together.");
  if (scales) {
    const bool per_tensor = scales->shape().elements() == 1;
    ExpectFloat32("scales", *scales, per_tensor ? scales->shape() : Shape{x.cols()});
    ExpectFloat32("zeros", *zeros, scales->shape());
  }
  if (channel_sum) {
    ExpectDType("channel sum", *channel_sum, DType::kFloat64);
    ExpectShape("channel sum", *channel_sum, {x.cols()});
  }
  if (options.granularity == Granularity::kGroup) GroupCount(x.cols(), options.group_size);
  ExpectThat(options.bits >= 1 && options.bits <= 8, "Expected 1 to 8 bits.");
  Tensor out = device.Empty(DType::kFloat32, x.shape());
  device.Enqueue([=](Backend& backend) {
    backend.FakeQuantize({.x = x.Read(),
                          .scales = ReadOptional(scales),
                          .zeros = ReadOptional(zeros),
                          .channel_sum = ReadOptional(channel_sum),
                          .out = out.Write(),
                          .granularity = options.granularity,
                          .group_size = options.group_size,
                          .bits = static_cast<int>(options.bits),
                          .symmetric = options.symmetric});
  });
  return out;
}

Factor Factorize(Device& device, const Tensor& matrix, double damping, double max_damping,
                 bool inverse) {
  ExpectFloat32("matrix", matrix, {matrix.cols(), matrix.cols()});
  ExpectThat(damping >= 0 && max_damping >= damping, "Expected 0 <= damping <= maximum damping.");
  Factor out{device.Empty(DType::kFloat32, matrix.shape()), device.Empty(DType::kFloat64, {1})};
  device.Enqueue([=](Backend& backend) {
    backend.Factorize({.matrix = matrix.Read(),
                       .out = out.factor.Write(),
                       .info = out.info.Write(),
                       .damping = damping,
                       .max_damping = max_damping,
                       .inverse = inverse});
  });
  return out;
}

GptqResult Gptq(Device& device, const Tensor& weight, const Tensor& factor,
                const OptionalTensor& channel_weights, const OptionalTensor& fixed_scales,
                const OptionalTensor& fixed_zeros, const OptionalTensor& group_index,
                const Scheme& scheme, Precision precision) {
  ExpectWeightType("weight", weight);
  ExpectRank("weight", weight, 2);
  ExpectScheme(scheme);
  ExpectFloat32("factor", factor, {weight.cols(), weight.cols()});
  if (channel_weights) ExpectFloat32("channel weights", *channel_weights, {weight.cols()});
  ExpectThat(fixed_scales.has_value() == fixed_zeros.has_value(),
             "Expected scales and zeros together.");
  ExpectThat(!group_index || fixed_scales, "Expected fixed scales with a group index.");
  if (fixed_scales) ExpectScales(*fixed_scales, *fixed_zeros, weight.rows(), weight.cols());
  ExpectGroupIndex(group_index, weight.cols());
  const Shape shape{weight.rows(), GroupCount(weight.cols(), scheme.group_size)};
  const bool fixed = fixed_scales.has_value();
  GptqResult out{device.Empty(DType::kUint8, weight.shape()),
                 fixed ? *fixed_scales : device.Empty(DType::kFloat32, shape),
                 fixed ? *fixed_zeros : device.Empty(DType::kFloat32, shape),
                 device.Empty(DType::kFloat32, weight.shape())};
  const bool plain = weight.dtype() == DType::kFloat32;
  const Tensor values = plain ? weight : device.Empty(DType::kFloat32, weight.shape());
  device.Enqueue([=](Backend& backend) {
    if (!plain) backend.Cast(weight.Read(), values.Write());
    backend.Gptq({.weight = values.Read(),
                  .factor = factor.Read(),
                  .channel_weights = ReadOptional(channel_weights),
                  .group_index = ReadOptional(group_index),
                  .scales = out.scales.Write(),
                  .zeros = out.zeros.Write(),
                  .codes = out.codes.Write(),
                  .errors = out.errors.Write(),
                  .scheme = scheme,
                  .fixed_scales = fixed,
                  .precision = precision});
  });
  return out;
}

}  // namespace ballast
