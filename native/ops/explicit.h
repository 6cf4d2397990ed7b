// The steps of attention, their gradients and twin quantization. Formulas:
// native/backend/explicit_params.h.
#pragma once

#include "native/backend/explicit_params.h"
#include "native/ops/check.h"
#include "native/ops/device.h"

namespace ballast {

struct HeadProductOptions {
  HeadProductKind kind = HeadProductKind::kScores;
  std::int64_t sequence = 0;
  std::int64_t heads = 0;
  std::int64_t key_value_heads = 0;
  double scale = 1;
  Precision precision = Precision::kFloat32;
};
Tensor HeadProduct(Device& device, const Tensor& x, const Tensor& y,
                   const HeadProductOptions& options);

struct SoftmaxOptions {
  std::int64_t heads = 0;
  double softcap = 0;
  std::int64_t window = 0;
  bool causal = false;
};
Tensor Softmax(Device& device, const Tensor& scores, const OptionalTensor& alibi_slopes,
               const OptionalTensor& bias, const OptionalTensor& sinks,
               const SoftmaxOptions& options);

struct TwinOptions {
  double threshold = 0;
  double low_scale = 1;
  double low_min = 0;
  double low_max = 0;
  double high_scale = 1;
  double high_max = 0;
};
Tensor TwinQuantize(Device& device, const Tensor& x, const TwinOptions& options);

Tensor SoftmaxGradient(Device& device, const Tensor& probabilities, const Tensor& gradient);
Tensor LayerNormGradient(Device& device, const Tensor& x, const OptionalTensor& weight,
                         const Tensor& gradient, double eps);
Tensor ActivationGradient(Device& device, Activation activation, const Tensor& x,
                          const Tensor& gradient);

}  // namespace ballast
