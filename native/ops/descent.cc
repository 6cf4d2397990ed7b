#include "native/ops/descent.h"

#include "native/ops/quantization.h"
#include "native/ops/super_blocks.h"

namespace ballast {

DescendResult Descend(Device& device, const Tensor& weight, const Tensor& matrix,
                      const Tensor& codes, const Tensor& scales, const Tensor& zeros,
                      const OptionalTensor& scale_steps, const OptionalTensor& offset_steps,
                      const DescendOptions& options) {
  ExpectWeightType("weight", weight);
  ExpectRank("weight", weight, 2);
  ExpectFloat32("matrix", matrix, {weight.cols(), weight.cols()});
  ExpectDType("codes", codes, DType::kUint8);
  ExpectShape("codes", codes, weight.shape());
  ExpectScales(scales, zeros, weight.rows(), weight.cols());
  const Scheme scheme{.bits = static_cast<int>(options.bits), .scale_dtype = options.scale_dtype};
  ExpectScheme(scheme);
  ExpectThat(options.rounds >= 0 && options.sweeps >= 0, "Expected no negative rounds or sweeps.");
  ExpectThat(options.damping >= 0, "Expected no negative damping.");
  ExpectThat(scale_steps.has_value() == offset_steps.has_value(),
             "Expected the steps of scales and of offsets together.");
  if (scale_steps) ExpectSteps(*scale_steps, *offset_steps, scales, weight, options.bits);
  DescendResult out{device.Empty(DType::kUint8, codes.shape()),
                    device.Empty(DType::kFloat32, scales.shape()),
                    device.Empty(DType::kFloat32, zeros.shape()),
                    device.Empty(DType::kFloat64, {1 + 2 * options.rounds})};
  device.Enqueue([=](Backend& backend) {
    backend.Copy(out.codes.Write().bytes, codes.Read().bytes, codes.byte_count());
    backend.Copy(out.scales.Write().bytes, scales.Read().bytes, scales.byte_count());
    backend.Copy(out.zeros.Write().bytes, zeros.Read().bytes, zeros.byte_count());
    backend.Descend({.weight = weight.Read(),
                     .matrix = matrix.Read(),
                     .scale_steps = ReadOptional(scale_steps),
                     .offset_steps = ReadOptional(offset_steps),
                     .zeros = out.zeros.Write(),
                     .scales = out.scales.Write(),
                     .codes = out.codes.Write(),
                     .errors = out.errors.Write(),
                     .scheme = scheme,
                     .rounds = options.rounds,
                     .sweeps = options.sweeps,
                     .refit = options.refit,
                     .greedy = options.greedy,
                     .unrounded = options.unrounded,
                     .damping = options.damping,
                     .tolerance = options.tolerance,
                     .precision = options.precision});
  });
  return out;
}

Tensor RefitScales(Device& device, const Tensor& weight, const Tensor& matrix, const Tensor& codes,
                   const Tensor& scales, const Tensor& zeros, DType scale_dtype, double damping,
                   Precision precision) {
  ExpectWeightType("weight", weight);
  ExpectRank("weight", weight, 2);
  ExpectFloat32("matrix", matrix, {weight.cols(), weight.cols()});
  ExpectDType("codes", codes, DType::kUint8);
  ExpectShape("codes", codes, weight.shape());
  ExpectScales(scales, zeros, weight.rows(), weight.cols());
  ExpectThat(damping >= 0, "Expected no negative damping.");
  const Tensor out = device.Empty(DType::kFloat32, scales.shape());
  device.Enqueue([=](Backend& backend) {
    backend.Copy(out.Write().bytes, scales.Read().bytes, scales.byte_count());
    backend.RefitScales({.weight = weight.Read(),
                         .matrix = matrix.Read(),
                         .codes = codes.Read(),
                         .zeros = zeros.Read(),
                         .scales = out.Write(),
                         .scale_dtype = scale_dtype,
                         .damping = damping,
                         .precision = precision});
  });
  return out;
}

Tensor RefitSwept(Device& device, const Tensor& factor, const Tensor& errors, const Tensor& codes,
                  const Tensor& scales, const Tensor& zeros, DType scale_dtype) {
  ExpectDType("codes", codes, DType::kUint8);
  ExpectRank("codes", codes, 2);
  ExpectFloat32("factor", factor, {codes.cols(), codes.cols()});
  ExpectFloat32("errors", errors, codes.shape());
  ExpectFloat32("scales", scales, {codes.rows(), 1});
  ExpectFloat32("zeros", zeros, {codes.rows(), 1});
  const Tensor out = device.Empty(DType::kFloat32, scales.shape());
  device.Enqueue([=](Backend& backend) {
    backend.Copy(out.Write().bytes, scales.Read().bytes, scales.byte_count());
    backend.RefitSwept({.factor = factor.Read(),
                        .errors = errors.Read(),
                        .codes = codes.Read(),
                        .zeros = zeros.Read(),
                        .scales = out.Write(),
                        .scale_dtype = scale_dtype});
  });
  return out;
}

}  // namespace ballast
