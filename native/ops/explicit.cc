#include "native/ops/explicit.h"

namespace ballast {
namespace {

// What a product of that kind gives; checks y against it.
Shape HeadProductShape(const Tensor& x, const Tensor& y, const HeadProductOptions& o) {
  ExpectDType("x", x, DType::kFloat32);
  ExpectDType("y", y, DType::kFloat32);
  ExpectRank("x", x, 2);
  ExpectRank("y", y, 2);
  ExpectThat(o.heads > 0 && o.key_value_heads > 0 && o.heads % o.key_value_heads == 0 &&
                 y.cols() % o.key_value_heads == 0,
             "Expected channels divisible by heads and heads by key/value heads.");
  ExpectThat(o.sequence > 0 && y.rows() % o.sequence == 0,
             "Expected rows divisible by the sequence length.");
  const Shape tokens{y.rows(), y.cols() / o.key_value_heads * o.heads};
  const Shape scores{y.rows() * o.heads, o.sequence};
  if (o.kind == HeadProductKind::kScores) {
    ExpectShape("x", x, tokens);
    return scores;
  }
  ExpectShape("x", x, scores);
  ExpectThat(o.kind == HeadProductKind::kMix || o.heads == o.key_value_heads,
             "Expected as many key/value heads as heads.");
  return tokens;
}

}  // namespace

Tensor HeadProduct(Device& device, const Tensor& x, const Tensor& y,
                   const HeadProductOptions& options) {
  Tensor out = device.Empty(DType::kFloat32, HeadProductShape(x, y, options));
  device.Enqueue([=](Backend& backend) {
    backend.HeadProduct({.x = x.Read(),
                         .y = y.Read(),
                         .out = out.Write(),
                         .kind = options.kind,
                         .sequence = options.sequence,
                         .heads = options.heads,
                         .key_value_heads = options.key_value_heads,
                         .scale = options.scale,
                         .precision = options.precision});
  });
  return out;
}

Tensor Softmax(Device& device, const Tensor& scores, const OptionalTensor& alibi_slopes,
               const OptionalTensor& bias, const OptionalTensor& sinks,
               const SoftmaxOptions& options) {
  ExpectDType("scores", scores, DType::kFloat32);
  ExpectRank("scores", scores, 2);
  ExpectThat(options.heads > 0 && scores.cols() > 0 &&
                 scores.rows() % (options.heads * scores.cols()) == 0,
             "Expected a row of scores for each sequence, head and query.");
  if (alibi_slopes) ExpectFloat32("alibi slopes", *alibi_slopes, {options.heads});
  if (bias) ExpectScoreBias(*bias, scores.rows(), options.heads, scores.cols());
  if (sinks) ExpectFloat32("sinks", *sinks, {options.heads});
  Tensor out = device.Empty(DType::kFloat32, scores.shape());
  device.Enqueue([=](Backend& backend) {
    backend.Softmax({.scores = scores.Read(),
                     .alibi_slopes = ReadOptional(alibi_slopes),
                     .bias = ReadOptional(bias),
                     .sinks = ReadOptional(sinks),
                     .out = out.Write(),
                     .heads = options.heads,
                     .softcap = options.softcap,
                     .window = options.window,
                     .causal = options.causal});
  });
  return out;
}

Tensor TwinQuantize(Device& device, const Tensor& x, const TwinOptions& options) {
  ExpectDType("x", x, DType::kFloat32);
  ExpectThat(options.low_scale > 0 && options.high_scale > 0, "Expected scales above 0.");
  Tensor out = device.Empty(DType::kFloat32, x.shape());
  device.Enqueue([=](Backend& backend) {
    backend.TwinQuantize({.x = x.Read(),
                          .out = out.Write(),
                          .threshold = options.threshold,
                          .low_scale = options.low_scale,
                          .low_min = options.low_min,
                          .low_max = options.low_max,
                          .high_scale = options.high_scale,
                          .high_max = options.high_max});
  });
  return out;
}

Tensor SoftmaxGradient(Device& device, const Tensor& probabilities, const Tensor& gradient) {
  ExpectDType("probabilities", probabilities, DType::kFloat32);
  ExpectFloat32("gradient", gradient, probabilities.shape());
  Tensor out = device.Empty(DType::kFloat32, gradient.shape());
  device.Enqueue([=](Backend& backend) {
    backend.SoftmaxGradient(
        {.probabilities = probabilities.Read(), .gradient = gradient.Read(), .out = out.Write()});
  });
  return out;
}

Tensor LayerNormGradient(Device& device, const Tensor& x, const OptionalTensor& weight,
                         const Tensor& gradient, double eps) {
  ExpectDType("x", x, DType::kFloat32);
  if (weight) ExpectFloat32("weight", *weight, {x.cols()});
  ExpectFloat32("gradient", gradient, x.shape());
  Tensor out = device.Empty(DType::kFloat32, x.shape());
  device.Enqueue([=](Backend& backend) {
    backend.LayerNormGradient({.x = x.Read(),
                               .weight = ReadOptional(weight),
                               .gradient = gradient.Read(),
                               .out = out.Write(),
                               .eps = eps});
  });
  return out;
}

Tensor ActivationGradient(Device& device, Activation activation, const Tensor& x,
                          const Tensor& gradient) {
  ExpectDType("x", x, DType::kFloat32);
  ExpectFloat32("gradient", gradient, x.shape());
  Tensor out = device.Empty(DType::kFloat32, x.shape());
  device.Enqueue([=](Backend& backend) {
    backend.ActivationGradient(
        {.x = x.Read(), .gradient = gradient.Read(), .out = out.Write(), .activation = activation});
  });
  return out;
}

}  // namespace ballast
