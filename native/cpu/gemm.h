// C = A Bᵀ, blocked and threaded: the one product that matmul, statistics, factorisation and GPTQ
// share.
#pragma once

#include <cstdint>
#include <functional>

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

// A stretch of C that holds its final value.
struct Finished {
  std::int64_t row;
  std::int64_t rows;
  std::int64_t column;
  std::int64_t columns;
  float* sums;          // of its first row and column
  std::int64_t stride;  // of sums
};

// Called once for each stretch, on the thread that made it.
using Finish = std::function<void(const Finished& stretch)>;

struct Product {
  Operand a;  // [rows, depth]
  Operand b;  // [columns, depth]
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t depth = 0;
  float* out = nullptr;     // null: C is kept nowhere, `finish` takes what it needs of it
  std::int64_t stride = 0;  // of out
  Update update = Update::kStore;
  bool upper = false;  // only elements with row <= column
};

// The kernels of products that have a precision, but in which a number meets few others: attention,
// statistics of narrow inputs. In float32 they are multiply-adds, since making parts of numbers
// costs more there than bfloat16 products gain. The algebra on what these give (factors,
// certificates, what a quantizer updates) multiplies with kernels.linear.float32 always.
inline const GemmKernels& NarrowGemmFor(const Context& context, Precision precision) {
  const LinearKernels& kernels = context.kernels.linear;
  return precision == Precision::kBFloat16 ? kernels.bfloat16 : kernels.float32;
}

// Of layers, and of statistics of wide inputs.
inline const GemmKernels& GemmFor(const Context& context, Precision precision) {
  if (precision == Precision::kFloat32) {
    const LinearKernels& kernels = context.kernels.linear;
    if (context.float32_products == Float32Products::kThree) return kernels.three_products;
    if (context.float32_products == Float32Products::kSix) return kernels.six_products;
  }
  return NarrowGemmFor(context, precision);
}

// Every element is a sum in an order that only the depth decides, so neither threads nor the other
// rows and columns change it. out may not overlap a or b.
void Multiply(const Context& context, const GemmKernels& kernels, const Product& product,
              const Finish& finish = nullptr);

}  // namespace ballast::cpu
