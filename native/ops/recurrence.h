// Linear attention and the convolution before it. Formulas: native/backend/recurrence_params.h.
#pragma once

#include "native/backend/recurrence_params.h"
#include "native/ops/check.h"
#include "native/ops/device.h"

namespace ballast {

struct CausalConvolutionOptions {
  std::int64_t sequence = 0;
  Activation activation = Activation::kNone;
};
// [n, c] float32.
Tensor CausalConvolution(Device& device, const Tensor& x, const Tensor& weight,
                         const CausalConvolutionOptions& options);

struct GatedDeltaRuleOptions {
  std::int64_t sequence = 0;
  std::int64_t key_heads = 0;
  std::int64_t key_size = 0;
};
// [n, value_heads·value_size] float32.
Tensor GatedDeltaRule(Device& device, const Tensor& mixed, const Tensor& decay, const Tensor& write,
                      const Tensor& log_rate, const Tensor& decay_bias,
                      const GatedDeltaRuleOptions& options);

}  // namespace ballast
