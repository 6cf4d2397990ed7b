// out[i] = Σ_j a[i, j]·b(i, j) in float64: a warp a row.
#pragma once

#include "cuda/check.h"
#include "cuda/context.h"
#include "cuda/numbers.cuh"
#include "cuda/reduce.cuh"

namespace ballast::cuda {

constexpr int kDotWarps = 8;

// b_stride 0: the same vector for every row.
template <class A, class B>
__global__ void row_dot_kernel(const A* a, const B* b, std::int64_t b_stride, std::int64_t rows,
                               std::int64_t n, double* out) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kDotWarps + threadIdx.y;
  if (row >= rows) return;
  double sum = 0;
  for (std::int64_t j = threadIdx.x; j < n; j += kWarp) {
    sum += static_cast<double>(convert<float>(a[row * n + j])) *
           static_cast<double>(b[row * b_stride + j]);
  }
  sum = warp_reduce(sum, Sum{});
  if (threadIdx.x == 0) out[row] = sum;
}

template <class A, class B>
void RowDot(const Context& context, const char* operation, const A* a, const B* b,
            std::int64_t b_stride, std::int64_t rows, std::int64_t n, double* out) {
  if (rows == 0) return;
  const auto blocks = static_cast<unsigned>(DivideUp(rows, kDotWarps));
  row_dot_kernel<<<blocks, dim3(kWarp, kDotWarps), 0, context.stream>>>(a, b, b_stride, rows, n,
                                                                        out);
  CheckLaunch(operation);
}

}  // namespace ballast::cuda
