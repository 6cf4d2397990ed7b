// What mixture-of-experts blocks have besides linears. Formulas: native/backend/expert_params.h.
#pragma once

#include "native/backend/expert_params.h"
#include "native/ops/check.h"
#include "native/ops/device.h"

namespace ballast {

struct ChooseExpertsOptions {
  std::int64_t count = 1;
  Scoring scoring = Scoring::kSoftmax;
  std::int64_t groups = 1;
  std::int64_t kept_groups = 1;
  std::int64_t best_of_group = 1;
};
// [n, count] int32.
Tensor ChooseExperts(Device& device, const Tensor& logits, const OptionalTensor& bias,
                     const ChooseExpertsOptions& options);

struct ExpertWeightsOptions {
  Scoring scoring = Scoring::kSoftmax;
  bool normalized = false;
  double scale = 1;
};
// [n, k] float32.
Tensor ExpertWeights(Device& device, const Tensor& logits, const Tensor& chosen,
                     const ExpertWeightsOptions& options);

// x [m, 2c] float32 → [m, c] of an operand type.
struct ClampedSwigluOptions {
  double slope = 1.702;
  double limit = 7;
  DType dtype = DType::kFloat32;
};
Tensor ClampedSwiglu(Device& device, const Tensor& x, const ClampedSwigluOptions& options);

// sum [n, c] float32 += weighted rows of y.
void AddExpert(Device& device, const Tensor& sum, const Tensor& y, const Tensor& slots,
               const Tensor& weights);

}  // namespace ballast
