// One thread block for each square.
#include "cuda/check.h"
#include "cuda/memory.h"
#include "cuda/reduce.cuh"
#include "cuda/triangle.h"

namespace ballast::cuda {
namespace {

constexpr int kSide = 16;  // threads along each axis
constexpr int kParts = 4;  // threads that share a column of an inverse
static_assert(kParts * kTriangle == kSide * kSide);
constexpr int kPitch = kTriangle + 1;  // columns lie in different banks
constexpr int kSharedBytes = 2 * kTriangle * kPitch * static_cast<int>(sizeof(double));
constexpr int kSquare = SweepBlocks::kMost;
constexpr int kSquarePitch = kSquare + 1;
constexpr int kSquareBytes = kSquare * kSquarePitch * static_cast<int>(sizeof(float));

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
template <int kColumns, class T>
__device__ void invert_upper(const T* r, std::int64_t stride, int n, T* u) {
  const int j = threadIdx.x / kParts, part = threadIdx.x % kParts;
  for (int i = n - 1; i >= 0; --i) {
    double sum = 0;
    for (int k = i + 1 + part; k <= j && k < n; k += kParts) {
      sum += static_cast<double>(r[i * stride + k]) * u[k * (kColumns + 1) + j];
    }
    sum = warp_reduce<kParts>(sum, Sum{});
    if (part == 0 && j < n) {
      const double rest = (i == j ? 1.0 : 0.0) - sum;
      u[i * (kColumns + 1) + j] = static_cast<T>(i <= j ? rest / r[i * stride + i] : 0.0);
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
  invert_upper<kTriangle>(a, kPitch, n, u);
  __syncthreads();
  for (int i = threadIdx.x; i < n * n; i += blockDim.x) {
    const int row = i / n, column = i % n;
    if (row <= column) matrix[row * stride + column] = static_cast<float>(a[row * kPitch + column]);
    inverse[i] = static_cast<float>(u[row * kPitch + column]);
  }
}

__global__ void invert_squares_kernel(const float* factor, std::int64_t n, const SweepBlock* blocks,
                                      float* inverses) {
  extern __shared__ float square[];
  const SweepBlock block = blocks[blockIdx.x];
  const int size = static_cast<int>(block.end - block.begin);
  invert_upper<kSquare>(factor + block.begin * (n + 1), n, size, square);
  __syncthreads();
  float* inverse = inverses + static_cast<std::int64_t>(blockIdx.x) * kSquare * kSquare;
  for (int i = threadIdx.x; i < kSquare * kSquare; i += blockDim.x) {
    const int row = i / kSquare, column = i % kSquare;
    inverse[i] = row < size && column < size ? square[row * kSquarePitch + column] : 0.0f;
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

void InvertSquares(const Context& context, const float* factor, std::int64_t n,
                   const std::vector<SweepBlock>& blocks, float* inverses) {
  const Scratch<SweepBlock> places(context, static_cast<std::int64_t>(blocks.size()));
  Check(cudaMemcpyAsync(places.data(), blocks.data(), blocks.size() * sizeof(SweepBlock),
                        cudaMemcpyHostToDevice, context.stream),
        "preparing gptq");
  Check(cudaFuncSetAttribute(invert_squares_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             kSquareBytes),
        "preparing gptq");
  invert_squares_kernel<<<static_cast<unsigned>(blocks.size()), kParts * kSquare, kSquareBytes,
                          context.stream>>>(factor, n, places.data(), inverses);
  CheckLaunch("gptq");
}

}  // namespace ballast::cuda
