// What a block is made of besides elementwise functions. Formulas: native/backend/params.h.
#pragma once

#include "native/ops/check.h"
#include "native/ops/device.h"

namespace ballast {

// `dtype` is the result's: an operand type.
struct MatmulOptions {
  Activation activation = Activation::kNone;
  WeightLayout layout = WeightLayout::kOutIn;
  Precision precision = Precision::kFloat32;
  DType dtype = DType::kFloat32;
};
Tensor Matmul(Device& device, const Tensor& x, const Tensor& weight, const OptionalTensor& bias,
              const OptionalTensor& residual, const MatmulOptions& options);

struct AttentionOptions {
  std::int64_t sequence = 0;
  std::int64_t heads = 0;
  std::int64_t key_value_heads = 0;
  double scale = 1;
  double softcap = 0;
  std::int64_t window = 0;
  bool causal = true;
  Precision precision = Precision::kFloat32;
  DType dtype = DType::kFloat32;
};
Tensor Attention(Device& device, const Tensor& query, const Tensor& key, const Tensor& value,
                 const OptionalTensor& alibi_slopes, const OptionalTensor& bias,
                 const OptionalTensor& sinks, const AttentionOptions& options);

Tensor LayerNorm(Device& device, const Tensor& x, const OptionalTensor& weight,
                 const OptionalTensor& bias, double eps, DType dtype);
Tensor RmsNorm(Device& device, const Tensor& x, const Tensor& weight, double eps,
               double weight_offset, DType dtype);

struct RopeOptions {
  std::int64_t sequence = 0;
  std::int64_t head_size = 0;
  bool interleaved = false;
};
Tensor Rope(Device& device, const Tensor& x, const Tensor& cos, const Tensor& sin,
            const RopeOptions& options);

Tensor Embedding(Device& device, const Tensor& ids, const Tensor& table);
Tensor CrossEntropy(Device& device, const Tensor& logits, const Tensor& targets);

}  // namespace ballast
