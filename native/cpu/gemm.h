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
// costs more there than bfloat16 products gain. So are they in factorizations and GPTQ's updates,
// whose depth is a block's.
inline const GemmKernels& NarrowGemmFor(const Context& context, Precision precision) {
  const LinearKernels& kernels = context.kernels.linear;
  return precision == Precision::kBFloat16 ? kernels.bfloat16.rounded : kernels.float32;
}

// Six products, or fewer where the right operand is of 16 bits and so has fewer parts. What the
// left one is held in plays no part, so a result does not depend on that.
inline const GemmKernels& ExactGemmFor(const BFloat16Kernels& kernels, const Operand& b) {
  if (b.shift != nullptr) return kernels.six_products;
  if (b.dtype == DType::kBFloat16) return kernels.by_bfloat16;
  return b.dtype == DType::kFloat16 ? kernels.by_float16 : kernels.six_products;
}

// Of layers, and of statistics of wide inputs.
inline const GemmKernels& GemmFor(const Context& context, Precision precision, const Operand& b) {
  if (precision == Precision::kFloat32) {
    const BFloat16Kernels& kernels = context.kernels.linear.bfloat16;
    if (context.float32_products == Float32Products::kThree) return kernels.three_products;
    if (context.float32_products == Float32Products::kSix) return ExactGemmFor(kernels, b);
  }
  return NarrowGemmFor(context, precision);
}

// Of the algebra on moments. In float32 it is never less exact than multiply-adds. With `whole` the
// left operand's numbers are ones that bfloat16 holds.
inline const GemmKernels& AlgebraGemmFor(const Context& context, Precision precision,
                                         bool whole = false) {
  const LinearKernels& kernels = context.kernels.linear;
  if (precision == Precision::kBFloat16) return kernels.bfloat16.rounded;
  if (context.float32_products != Float32Products::kSix) return kernels.float32;
  if (whole) return kernels.bfloat16.of_bfloat16;
  return precision == Precision::kBFloat16x3 ? kernels.bfloat16.three_products
                                             : kernels.bfloat16.six_products;
}

// Every element is a sum in an order that only the depth decides, so neither threads nor the other
// rows and columns change it. out may not overlap b; it may be a itself where neither columns nor
// depth are more than 128, since a band of rows is packed before any of it is written.
void Multiply(const Context& context, const GemmKernels& kernels, const Product& product,
              const Finish& finish = nullptr);

}  // namespace ballast::cpu
