// One thread block; both squares lie in shared memory.
#include "cuda/check.h"
#include "cuda/reduce.cuh"
#include "cuda/triangle.h"

namespace ballast::cuda {
namespace {

constexpr int kSide = 16;  // threads along each axis
constexpr int kParts = kSide * kSide / kTriangle;
constexpr int kPitch = kTriangle + 1;  // columns lie in different banks
constexpr int kSharedBytes = 2 * kTriangle * kPitch * static_cast<int>(sizeof(double));

// A = R Rᵀ from the last column to the first; false at a pivot that is not positive.
__device__ bool reverse_cholesky(double* a, int n) {
  const int tx = threadIdx.x % kSide, ty = threadIdx.x / kSide;
  for (int k = n - 1; k >= 0; --k) {
    const double pivot = a[k * kPitch + k];
    if (!(pivot > 0) || !isfinite(pivot)) return false;  // the same in all threads
    const double root = sqrt(pivot);
    __syncthreads();
    for (int i = threadIdx.x; i <= k; i += kSide * kSide) {
      a[i * kPitch + k] = i == k ? root : a[i * kPitch + k] / root;
    }
    __syncthreads();
    for (int i = ty; i < k; i += kSide) {
      for (int j = tx; j < k; j += kSide) {
        if (j >= i) a[i * kPitch + j] -= a[i * kPitch + k] * a[j * kPitch + k];
      }
    }
    __syncthreads();
  }
  return true;
}

// R U = I from the last row up: u_ij = (δ_ij − Σ_{i<k<=j} r_ik u_kj) / r_ii. kParts neighbouring
// lanes share a column and never look at another one.
__device__ void invert_upper(const double* r, int n, double* u) {
  const int j = threadIdx.x / kParts, part = threadIdx.x % kParts;
  for (int i = n - 1; i >= 0; --i) {
    double sum = 0;
    for (int k = i + 1 + part; k <= j && k < n; k += kParts) {
      sum += r[i * kPitch + k] * u[k * kPitch + j];
    }
    sum = warp_reduce<kParts>(sum, Sum{});
    if (part == 0 && j < n) {
      const double rest = (i == j ? 1.0 : 0.0) - sum;
      u[i * kPitch + j] = i <= j ? rest / r[i * kPitch + i] : 0.0;
    }
    __syncwarp();
  }
}

__global__ void factor_triangle_kernel(float* matrix, std::int64_t stride, int n, float* inverse,
                                       int* bad) {
  extern __shared__ double squares[];
  double* a = squares;
  double* u = squares + kTriangle * kPitch;
  if (*bad != 0) return;
  for (int i = threadIdx.x; i < n * n; i += blockDim.x) {
    a[i / n * kPitch + i % n] = matrix[i / n * stride + i % n];
  }
  __syncthreads();
  if (!reverse_cholesky(a, n)) {
    if (threadIdx.x == 0) *bad = 1;
    return;
  }
  invert_upper(a, n, u);
  __syncthreads();
  for (int i = threadIdx.x; i < n * n; i += blockDim.x) {
    const int row = i / n, column = i % n;
    if (row <= column) matrix[row * stride + column] = static_cast<float>(a[row * kPitch + column]);
    inverse[i] = static_cast<float>(u[row * kPitch + column]);
  }
}

}  // namespace

void FactorTriangle(const Context& context, float* matrix, std::int64_t stride, int size,
                    float* inverse, int* bad) {
  Check(cudaFuncSetAttribute(factor_triangle_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             kSharedBytes),
        "preparing a factorisation");
  factor_triangle_kernel<<<1, kSide * kSide, kSharedBytes, context.stream>>>(matrix, stride, size,
                                                                             inverse, bad);
  CheckLaunch("factorize");
}

}  // namespace ballast::cuda
