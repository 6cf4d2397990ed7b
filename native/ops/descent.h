// Group parameters and codes moved to where a layer's error is least. Formulas:
// native/backend/params.h.
#pragma once

#include "native/ops/check.h"
#include "native/ops/device.h"

namespace ballast {

struct DescendOptions {
  std::int64_t bits = 4;
  DType scale_dtype = DType::kFloat32;
  std::int64_t rounds = 1;
  std::int64_t sweeps = 1;
  bool refit = true;
  bool greedy = false;
  bool unrounded = false;
  double damping = 0;
  double tolerance = 0;
  Precision precision = Precision::kFloat32;
};
struct DescendResult {
  Tensor codes;
  Tensor scales;
  Tensor zeros;
  Tensor errors;  // [1 + 2·rounds] float64
};
// From the given codes, scales and zeros, which stay what they are. Steps come together, of a grid
// of super-blocks.
DescendResult Descend(Device& device, const Tensor& weight, const Tensor& matrix,
                      const Tensor& codes, const Tensor& scales, const Tensor& zeros,
                      const OptionalTensor& scale_steps, const OptionalTensor& offset_steps,
                      const DescendOptions& options);

// The scales [out, groups] that fit the codes best. Those given stay what they are.
Tensor RefitScales(Device& device, const Tensor& weight, const Tensor& matrix, const Tensor& codes,
                   const Tensor& scales, const Tensor& zeros, DType scale_dtype, double damping,
                   Precision precision);
// The scales [out, 1] that do, from what Factorize and Gptq gave.
Tensor RefitSwept(Device& device, const Tensor& factor, const Tensor& errors, const Tensor& codes,
                  const Tensor& scales, const Tensor& zeros, DType scale_dtype);

}  // namespace ballast
