#include "native/ops/super_blocks.h"

#include "native/backend/super_block_bytes.h"

namespace ballast {
namespace {

void ExpectSuperBits(std::int64_t bits) {
  ExpectThat(HasSuperBlocks(bits), "Expected 2 to 6 bits for super-blocks.");
}

std::int64_t BytesOfSuperBlock(std::int64_t bits) {
  std::int64_t bytes = 0;
  WithSuperBlockBits(static_cast<int>(bits),
                     [&]<int kBits>() { bytes = SuperBlockBytesOf<kBits>().size; });
  return bytes;
}

}  // namespace

void ExpectSuperScales(const Tensor& scales, const Tensor& zeros, std::int64_t out, std::int64_t in,
                       std::int64_t bits) {
  ExpectSuperBits(bits);
  ExpectThat(in % SuperBlock::kColumns == 0,
             "Expected rows of whole super-blocks of " + std::to_string(SuperBlock::kColumns) +
                 " columns but received " + std::to_string(in) + " columns.");
  const Shape groups{out, in / SuperBlockOf(bits).group_size};
  ExpectFloat32("scales", scales, groups);
  ExpectFloat32("zeros", zeros, groups);
}

void ExpectSteps(const Tensor& scale_steps, const Tensor& offset_steps, const Tensor& scales,
                 const Tensor& weight, std::int64_t bits) {
  ExpectSuperScales(scales, scales, weight.rows(), weight.cols(), bits);
  const Shape supers{weight.rows(), weight.cols() / SuperBlock::kColumns};
  ExpectFloat32("scale steps", scale_steps, supers);
  ExpectFloat32("offset steps", offset_steps, supers);
}

SuperScalesResult SuperScales(Device& device, const Tensor& weight, const Tensor& scales,
                              const Tensor& zeros, std::int64_t bits) {
  ExpectWeightType("weight", weight);
  ExpectRank("weight", weight, 2);
  ExpectSuperScales(scales, zeros, weight.rows(), weight.cols(), bits);
  const Shape supers{weight.rows(), weight.cols() / SuperBlock::kColumns};
  SuperScalesResult out{
      device.Empty(DType::kFloat32, scales.shape()), device.Empty(DType::kFloat32, scales.shape()),
      device.Empty(DType::kFloat32, supers), device.Empty(DType::kFloat32, supers)};
  device.Enqueue([=](Backend& backend) {
    backend.Copy(out.scales.Write().bytes, scales.Read().bytes, scales.byte_count());
    backend.Copy(out.zeros.Write().bytes, zeros.Read().bytes, zeros.byte_count());
    backend.SuperScales({.weight = weight.Read(),
                         .scales = out.scales.Write(),
                         .zeros = out.zeros.Write(),
                         .scale_steps = out.scale_steps.Write(),
                         .offset_steps = out.offset_steps.Write(),
                         .bits = static_cast<int>(bits)});
  });
  return out;
}

Tensor PackSuperBlocks(Device& device, const Tensor& codes, const Tensor& scales,
                       const Tensor& zeros, std::int64_t bits) {
  ExpectDType("codes", codes, DType::kUint8);
  ExpectRank("codes", codes, 2);
  ExpectSuperScales(scales, zeros, codes.rows(), codes.cols(), bits);
  const std::int64_t supers = codes.cols() / SuperBlock::kColumns;
  Tensor out = device.Empty(DType::kUint8, {codes.rows(), supers * BytesOfSuperBlock(bits)});
  device.Enqueue([=](Backend& backend) {
    backend.PackSuperBlocks({.codes = codes.Read(),
                             .scales = scales.Read(),
                             .zeros = zeros.Read(),
                             .blocks = out.Write(),
                             .bits = static_cast<int>(bits)});
  });
  return out;
}

GridCodes UnpackSuperBlocks(Device& device, const Tensor& blocks, std::int64_t bits) {
  ExpectSuperBits(bits);
  ExpectDType("blocks", blocks, DType::kUint8);
  ExpectRank("blocks", blocks, 2);
  const std::int64_t rows = blocks.rows(), bytes = BytesOfSuperBlock(bits);
  ExpectThat(blocks.cols() % bytes == 0, "Expected rows of whole super-blocks.");
  const std::int64_t columns = blocks.cols() / bytes * SuperBlock::kColumns;
  const std::int64_t groups = columns / SuperBlockOf(bits).group_size;
  GridCodes out{device.Empty(DType::kUint8, {rows, columns}),
                device.Empty(DType::kFloat32, {rows, groups}),
                device.Empty(DType::kFloat32, {rows, groups})};
  device.Enqueue([=](Backend& backend) {
    backend.UnpackSuperBlocks({.codes = out.codes.Write(),
                               .scales = out.scales.Write(),
                               .zeros = out.zeros.Write(),
                               .blocks = blocks.Read(),
                               .bits = static_cast<int>(bits)});
  });
  return out;
}

}  // namespace ballast
