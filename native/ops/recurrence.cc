#include "native/ops/recurrence.h"

namespace ballast {
namespace {

void ExpectSequences(const Tensor& x, std::int64_t sequence) {
  ExpectThat(sequence > 0 && x.rows() % sequence == 0, "Expected rows that are whole sequences.");
}

}  // namespace

Tensor CausalConvolution(Device& device, const Tensor& x, const Tensor& weight,
                         const CausalConvolutionOptions& options) {
  ExpectDType("x", x, DType::kFloat32);
  ExpectRank("x", x, 2);
  ExpectDType("weight", weight, DType::kFloat32);
  ExpectRank("weight", weight, 2);
  ExpectThat(weight.rows() == x.cols() && weight.cols() > 0,
             "Expected a row of convolution weights for each channel.");
  ExpectSequences(x, options.sequence);
  Tensor out = device.Empty(DType::kFloat32, x.shape());
  device.Enqueue([=](Backend& backend) {
    backend.CausalConvolution({.x = x.Read(),
                               .weight = weight.Read(),
                               .out = out.Write(),
                               .sequence = options.sequence,
                               .activation = options.activation});
  });
  return out;
}

Tensor GatedDeltaRule(Device& device, const Tensor& mixed, const Tensor& decay, const Tensor& write,
                      const Tensor& log_rate, const Tensor& decay_bias,
                      const GatedDeltaRuleOptions& options) {
  ExpectDType("mixed", mixed, DType::kFloat32);
  ExpectRank("mixed", mixed, 2);
  ExpectDType("decay", decay, DType::kFloat32);
  ExpectRank("decay", decay, 2);
  ExpectFloat32("write", write, {mixed.rows(), decay.cols()});
  ExpectFloat32("rates", log_rate, {decay.cols()});
  ExpectFloat32("decay bias", decay_bias, {decay.cols()});
  ExpectThat(decay.rows() == mixed.rows(), "Expected a row of decays for each token.");
  ExpectSequences(mixed, options.sequence);
  const std::int64_t heads = decay.cols(), keys = options.key_heads * options.key_size;
  ExpectThat(options.key_heads > 0 && heads > 0 && heads % options.key_heads == 0,
             "Expected value heads divisible by the key heads.");
  ExpectThat(
      options.key_size > 0 && mixed.cols() > 2 * keys && (mixed.cols() - 2 * keys) % heads == 0,
      "Expected queries, keys and values of whole heads side by side.");
  Tensor out = device.Empty(DType::kFloat32, {mixed.rows(), mixed.cols() - 2 * keys});
  device.Enqueue([=](Backend& backend) {
    backend.GatedDeltaRule({.mixed = mixed.Read(),
                            .decay = decay.Read(),
                            .write = write.Read(),
                            .log_rate = log_rate.Read(),
                            .decay_bias = decay_bias.Read(),
                            .out = out.Write(),
                            .sequence = options.sequence,
                            .key_heads = options.key_heads,
                            .key_size = options.key_size});
  });
  return out;
}

}  // namespace ballast
