// Grids of super-blocks, as ggml's types Q2_K … Q6_K are. Formulas: native/backend/params.h.
#pragma once

#include "native/ops/check.h"
#include "native/ops/device.h"
#include "native/ops/quantization.h"

namespace ballast {

// Error{kArgument} unless the scales [out, g] are those of super-blocks of a weight, and the steps
// theirs.
void ExpectSuperScales(const Tensor& scales, const Tensor& zeros, std::int64_t out, std::int64_t in,
                       std::int64_t bits);
void ExpectSteps(const Tensor& scale_steps, const Tensor& offset_steps, const Tensor& scales,
                 const Tensor& weight, std::int64_t bits);

struct SuperScalesResult {
  Tensor scales;        // [out, groups] float32
  Tensor zeros;         // [out, groups] float32
  Tensor scale_steps;   // [out, in/256] float32
  Tensor offset_steps;  // [out, in/256] float32
};
// A grid of super-blocks near the one given, which stays what it is.
SuperScalesResult SuperScales(Device& device, const Tensor& weight, const Tensor& scales,
                              const Tensor& zeros, std::int64_t bits);

// Such a grid's codes as super-blocks [out, in/256·bytes] uint8, and back.
Tensor PackSuperBlocks(Device& device, const Tensor& codes, const Tensor& scales,
                       const Tensor& zeros, std::int64_t bits);
GridCodes UnpackSuperBlocks(Device& device, const Tensor& blocks, std::int64_t bits);

}  // namespace ballast
