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
  Operand a;  // [rows, depth], float32
  Operand b;  // [columns, depth], a weight type
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t depth = 0;
  float* out = nullptr;
  std::int64_t stride = 0;  // of out
  Update update = Update::kStore;
  bool upper = false;  // only elements with row <= column
  Precision precision = Precision::kFloat32;
  // What follows the sum, before the update: activation(sum + bias) + residual.
  const float* bias = nullptr;  // optional [columns]
  Activation activation = Activation::kNone;
  const float* residual = nullptr;  // optional, rows and stride of out; may be out
};

// kBFloat16: operands rounded to bfloat16, sums in float32.
// kFloat32: operands split exactly into bfloat16 parts; the products that are left out are below
// 2^-22 of |a||b|, and the tensor cores cut (not round) sums to float32 within stretches of 32 of
// the depth: |error| <= (2^-18 + depth·2^-29) Σ|a||b|.
// An element's digits depend on its row of A, its row of B and the depth alone. out may overlap
// neither a nor b, except that both are packed before anything is written when `rows` fits one
// pass (see kMostPackedBytes in gemm.cu).
void Multiply(const Context& context, const char* operation, const Product& product);

}  // namespace ballast::cuda
