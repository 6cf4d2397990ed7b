#include "native/ops/layers.h"

namespace ballast {

Tensor Matmul(Device& device, const Tensor& x, const Tensor& weight, const OptionalTensor& bias,
              const OptionalTensor& residual, const MatmulOptions& options) {
  ExpectOperandType("x", x.dtype());
  ExpectOperandType("the result", options.dtype);
  ExpectRank("x", x, 2);
  ExpectWeightType("weight", weight);
  ExpectRank("weight", weight, 2);
  const bool out_in = options.layout == WeightLayout::kOutIn;
  const std::int64_t out_channels = weight.shape()[out_in ? 0 : 1];
  ExpectThat(weight.shape()[out_in ? 1 : 0] == x.cols(),
             "Expected a weight of " + std::to_string(x.cols()) + " input channels but received " +
                 weight.shape().ToString() + ".");
  if (bias) ExpectFloat32("bias", *bias, {out_channels});
  if (residual) ExpectFloat32("residual", *residual, {x.rows(), out_channels});
  Tensor out = device.Empty(options.dtype, {x.rows(), out_channels});
  device.Enqueue([=](Backend& backend) {
    backend.Matmul({.x = x.Read(),
                    .weight = weight.Read(),
                    .bias = ReadOptional(bias),
                    .residual = ReadOptional(residual),
                    .out = out.Write(),
                    .activation = options.activation,
                    .layout = options.layout,
                    .precision = options.precision});
  });
  return out;
}

Tensor Attention(Device& device, const Tensor& query, const Tensor& key, const Tensor& value,
                 const OptionalTensor& alibi_slopes, const OptionalTensor& bias,
                 const OptionalTensor& sinks, const AttentionOptions& options) {
  ExpectOperandType("the result", options.dtype);
  ExpectDType("query", query, DType::kFloat32);
  ExpectRank("query", query, 2);
  ExpectThat(options.heads > 0 && options.key_value_heads > 0 &&
                 options.heads % options.key_value_heads == 0 && query.cols() > 0 &&
                 query.cols() % options.heads == 0,
             "Expected channels divisible by heads and heads by key/value heads.");
  ExpectThat(options.sequence > 0 && query.rows() % options.sequence == 0,
             "Expected rows divisible by the sequence length.");
  const std::int64_t head_size = query.cols() / options.heads;
  ExpectFloat32("key", key, {query.rows(), options.key_value_heads * head_size});
  ExpectFloat32("value", value, key.shape());
  if (alibi_slopes) ExpectFloat32("alibi slopes", *alibi_slopes, {options.heads});
  if (bias) ExpectScoreBias(*bias, query.rows() * options.heads, options.heads, options.sequence);
  if (sinks) ExpectFloat32("sinks", *sinks, {options.heads});
  Tensor out = device.Empty(options.dtype, query.shape());
  device.Enqueue([=](Backend& backend) {
    backend.Attention({.query = query.Read(),
                       .key = key.Read(),
                       .value = value.Read(),
                       .alibi_slopes = ReadOptional(alibi_slopes),
                       .bias = ReadOptional(bias),
                       .sinks = ReadOptional(sinks),
                       .out = out.Write(),
                       .sequence = options.sequence,
                       .heads = options.heads,
                       .key_value_heads = options.key_value_heads,
                       .scale = options.scale,
                       .softcap = options.softcap,
                       .window = options.window,
                       .causal = options.causal,
                       .precision = options.precision});
  });
  return out;
}

Tensor LayerNorm(Device& device, const Tensor& x, const OptionalTensor& weight,
                 const OptionalTensor& bias, double eps, DType dtype) {
  ExpectOperandType("the result", dtype);
  ExpectDType("x", x, DType::kFloat32);
  if (weight) ExpectFloat32("weight", *weight, {x.cols()});
  if (bias) ExpectFloat32("bias", *bias, {x.cols()});
  Tensor out = device.Empty(dtype, x.shape());
  device.Enqueue([=](Backend& backend) {
    backend.LayerNorm({.x = x.Read(),
                       .weight = ReadOptional(weight),
                       .bias = ReadOptional(bias),
                       .out = out.Write(),
                       .eps = eps});
  });
  return out;
}

Tensor RmsNorm(Device& device, const Tensor& x, const Tensor& weight, double eps,
               double weight_offset, DType dtype) {
  ExpectOperandType("the result", dtype);
  ExpectDType("x", x, DType::kFloat32);
  // The last axis may be a whole number of norms side by side (one per attention head).
  ExpectDType("weight", weight, DType::kFloat32);
  ExpectRank("weight", weight, 1);
  ExpectThat(weight.cols() > 0 && x.cols() % weight.cols() == 0,
             "Expected channels divisible by the norm's size.");
  Tensor out = device.Empty(dtype, x.shape());
  const Shape rows{x.shape().elements() / weight.cols(), weight.cols()};
  device.Enqueue([=](Backend& backend) {
    View in = x.Read();
    View result = out.Write();
    in.shape = result.shape = rows;
    backend.RmsNorm({.x = in,
                     .weight = weight.Read(),
                     .out = result,
                     .eps = eps,
                     .weight_offset = weight_offset});
  });
  return out;
}

Tensor Rope(Device& device, const Tensor& x, const Tensor& cos, const Tensor& sin,
            const RopeOptions& options) {
  ExpectDType("x", x, DType::kFloat32);
  ExpectDType("cos", cos, DType::kFloat32);
  ExpectRank("cos", cos, 2);
  ExpectFloat32("sin", sin, cos.shape());
  ExpectThat(options.sequence > 0 && cos.rows() >= options.sequence,
             "Expected a rotary table at least as long as the sequence.");
  ExpectThat(options.head_size > 0 && x.cols() % options.head_size == 0 &&
                 2 * cos.cols() <= options.head_size,
             "Expected channels divisible by the head size and a table within a head.");
  Tensor out = device.Empty(DType::kFloat32, x.shape());
  device.Enqueue([=](Backend& backend) {
    backend.Rope({.x = x.Read(),
                  .cos = cos.Read(),
                  .sin = sin.Read(),
                  .out = out.Write(),
                  .sequence = options.sequence,
                  .head_size = options.head_size,
                  .interleaved = options.interleaved});
  });
  return out;
}

Tensor Embedding(Device& device, const Tensor& ids, const Tensor& table) {
  ExpectDType("ids", ids, DType::kInt32);
  ExpectRank("ids", ids, 1);
  ExpectWeightType("table", table);
  ExpectRank("table", table, 2);
  Tensor out = device.Empty(DType::kFloat32, {ids.cols(), table.cols()});
  device.Enqueue([=](Backend& backend) {
    backend.Embedding({.ids = ids.Read(), .table = table.Read(), .out = out.Write()});
  });
  return out;
}

Tensor CrossEntropy(Device& device, const Tensor& logits, const Tensor& targets) {
  ExpectDType("logits", logits, DType::kFloat32);
  ExpectRank("logits", logits, 2);
  ExpectDType("targets", targets, DType::kInt32);
  ExpectShape("targets", targets, {logits.rows()});
  Tensor out = device.Empty(DType::kFloat64, {logits.rows()});
  device.Enqueue([=](Backend& backend) {
    backend.CrossEntropy({.logits = logits.Read(), .targets = targets.Read(), .out = out.Write()});
  });
  return out;
}

}  // namespace ballast
