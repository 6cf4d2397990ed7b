// C = A Bᵀ on the tensor cores: the one product that matmul, statistics, factorisation and GPTQ
// share.
#pragma once

#include <cstdint>

#include "cuda/context.h"
#include "cuda/packing.h"
#include "native/backend/params.h"

namespace ballast::cuda {

enum class Update { kStore, kAdd, kSubtract };

struct Product {
  Operand a;  // [rows, depth], float32 or bfloat16
  Operand b;  // [columns, depth], a weight type
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t depth = 0;
  float* out = nullptr;
  __nv_bfloat16* rounded = nullptr;  // in place of out, with kStore: what would be stored, rounded
  std::int64_t stride = 0;           // of either
  Update update = Update::kStore;
  bool upper = false;  // only elements with row <= column
  Precision precision = Precision::kFloat32;
  // What follows the sum, before the update: activation(sum + bias) + residual.
  const float* bias = nullptr;  // optional [columns]
  Activation activation = Activation::kNone;
  const float* residual = nullptr;  // optional, rows and stride of out; may be out
};

// Tensor cores cut sums instead of rounding them: they add 16 products to a sum with two bits more
// than float32 has (arXiv 2512.07004, H100), which loses at most 21·2^-25 of all their magnitudes.
// kFloat32: operands are split exactly into bfloat16 parts, and the products of parts that are left
// out are below 2^-22 of |a||b|. Stretches of the depth, 32 or 64 long, are summed in the tensor
// cores and added with rounding: |error| <= (2^-18 + depth·2^-29) Σ|a||b| with wgmma, which adds
// small parts of a whole stretch first, and with 2^-17 in place of 2^-18 with mma.sync.
// kBFloat16x3: the first two parts alone, rounded, which adds 2^-16 to that.
// kBFloat16: operands are rounded to bfloat16. mma.sync has stretches too; wgmma leaves the whole
// depth to the tensor cores: of the rounded operands |error| <= depth·2^-24 Σ|a||b|, and less than
// a tenth of that where it was simulated, while rounding the operands makes 2^-9 of each |a||b|.
// An element's digits depend on its row of A, its row of B and the depth alone. out may overlap
// neither a nor b, except that float32 factors are packed before anything is written when `rows`
// fits one pass (see kMostPackedBytes in gemm.cu).
void Multiply(const Context& context, const char* operation, const Product& product);

}  // namespace ballast::cuda
