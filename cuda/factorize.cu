// H = R Rᵀ from the last block column to the first, then, where it is asked for, R⁻¹ from the first
// to the last, both in place in the output; diagonal blocks in float64, the rest as products whose
// outputs cover no zeros:
//   factor:  R_IJ = A_IJ R_JJ⁻ᵀ,        A_II' −= R_IJ R_I'Jᵀ        for I <= I' < J
//   invert:  U_IJ = S_IJ R_JJ⁻¹,        S_IK −= U_IJ R_JK           for I <= J < K,  S = I at first
// A product packs its factors before it writes, so a block column may be its own result. The one
// wait is for the verdict on the pivots.
#include <algorithm>

#include "cuda/gemm.h"
#include "cuda/grid_loop.cuh"
#include "cuda/memory.h"
#include "cuda/operations.h"
#include "cuda/reduce.cuh"
#include "cuda/triangle.h"
#include "native/backend/damping.h"

namespace ballast::cuda {
namespace {

// One block: the mean of the diagonal's live elements.
__global__ void mean_diagonal_kernel(const float* matrix, std::int64_t n, double* mean) {
  double sum = 0, live = 0;
  for (std::int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    const float x = matrix[i * (n + 1)];
    if (!(x > 0)) continue;
    sum += x;
    live += 1;
  }
  sum = block_reduce(sum, Sum{}, 0.0);
  live = block_reduce(live, Sum{}, 0.0);
  if (threadIdx.x == 0) *mean = live > 0 ? sum / live : 0.0;
}

// out = upper triangle of matrix + damping·mean·I, dead channels set aside, zeros below.
void LoadUpper(const Context& context, const float* matrix, std::int64_t n, double damping,
               const double* mean, float* out) {
  ForEach(context, "factorize", n * n, [=] __device__(std::int64_t index) {
    const std::int64_t i = index / n, j = index % n;
    const float row_diagonal = matrix[i * (n + 1)], column_diagonal = matrix[j * (n + 1)];
    const bool live = row_diagonal > 0 && column_diagonal > 0;
    if (i == j) {
      // Dead channels: as good as nothing beside the others, and never zero.
      const double dead = *mean > 0 ? fmax(damping, kLeastDamping) * *mean : 1.0;
      out[index] = static_cast<float>(live ? row_diagonal + damping * *mean : dead);
    } else {
      out[index] = live && i < j ? matrix[index] : 0.0f;
    }
  });
}

class Factorization {
 public:
  Factorization(const Context& context, const FactorizeParams& params)
      : context_(context),
        n_(params.matrix.cols()),
        matrix_(params.matrix.f32()),
        out_(params.out.f32()),
        inverse_(context, RoundUp(n_, kTriangle) * kTriangle),
        later_(context, params.inverse ? n_ * kTriangle : 0),
        mean_(context, 1),
        bad_(context, 1) {
    mean_diagonal_kernel<<<1, kThreads, 0, context.stream>>>(matrix_, n_, mean_.data());
    CheckLaunch("factorize");
  }

  // False when H is not positive definite in float32.
  bool Factor(double damping) {
    Check(cudaMemsetAsync(bad_.data(), 0, sizeof(int), context_.stream), "factorising");
    LoadUpper(context_, matrix_, n_, damping, mean_.data(), out_);
    for (std::int64_t first = (n_ - 1) / kTriangle * kTriangle; first >= 0; first -= kTriangle) {
      context_.ThrowIfCancelled();
      const std::int64_t size = Size(first);
      FactorTriangle(context_, At(first, first), n_, static_cast<int>(size), Inverse(first),
                     bad_.data());
      Multiply(context_, "factorize",
               {.a = {.data = At(0, first), .stride = n_},
                .b = {.data = Inverse(first), .stride = size},
                .rows = first,
                .columns = size,
                .depth = size,
                .out = At(0, first),
                .stride = n_});
      const Operand column = {.data = At(0, first), .stride = n_};
      Multiply(context_, "factorize",
               {.a = column,
                .b = column,
                .rows = first,
                .columns = first,
                .depth = size,
                .out = out_,
                .stride = n_,
                .update = Update::kSubtract,
                .upper = true});
    }
    int bad = 0;
    Check(cudaMemcpyAsync(&bad, bad_.data(), sizeof bad, cudaMemcpyDeviceToHost, context_.stream),
          "factorising");
    Check(cudaStreamSynchronize(context_.stream), "factorising");
    return bad == 0;
  }

  // Turns R into R⁻¹.
  void Invert() {
    for (std::int64_t first = 0; first < n_; first += kTriangle) {
      context_.ThrowIfCancelled();
      const std::int64_t size = Size(first);
      Multiply(context_, "factorize",
               {.a = {.data = At(0, first), .stride = n_},
                .b = {.data = Inverse(first), .stride = size, .depth_contiguous = false},
                .rows = first,
                .columns = size,
                .depth = size,
                .out = At(0, first),
                .stride = n_});
      CopyRows(Inverse(first), size, At(first, first), n_, size, size);
      SubtractFromLater(first, size);
    }
  }

 private:
  std::int64_t Size(std::int64_t first) const {
    return std::min<std::int64_t>(kTriangle, n_ - first);
  }
  float* At(std::int64_t row, std::int64_t column) const { return out_ + row * n_ + column; }
  // R_JJ⁻¹ of the block that begins at `first`, [size, size].
  float* Inverse(std::int64_t first) const { return inverse_.data() + first * kTriangle; }

  void CopyRows(const float* from, std::int64_t from_stride, float* to, std::int64_t to_stride,
                std::int64_t rows, std::int64_t columns) {
    Check(cudaMemcpy2DAsync(to, static_cast<std::size_t>(to_stride) * sizeof(float), from,
                            static_cast<std::size_t>(from_stride) * sizeof(float),
                            static_cast<std::size_t>(columns) * sizeof(float),
                            static_cast<std::size_t>(rows), cudaMemcpyDeviceToDevice,
                            context_.stream),
          "factorising");
  }

  // S_IK −= U_IJ R_JK. Rows J of S take the place of R_JK, which therefore moves aside first.
  void SubtractFromLater(std::int64_t first, std::int64_t size) {
    const std::int64_t end = first + size, later = n_ - end;
    if (later == 0) return;
    CopyRows(At(first, end), n_, later_.data(), later, size, later);
    Check(cudaMemset2DAsync(At(first, end), static_cast<std::size_t>(n_) * sizeof(float), 0,
                            static_cast<std::size_t>(later) * sizeof(float),
                            static_cast<std::size_t>(size), context_.stream),
          "factorising");
    Multiply(context_, "factorize",
             {.a = {.data = At(0, first), .stride = n_},
              .b = {.data = later_.data(), .stride = later, .depth_contiguous = false},
              .rows = end,
              .columns = later,
              .depth = size,
              .out = At(0, end),
              .stride = n_,
              .update = Update::kSubtract});
  }

  const Context& context_;
  const std::int64_t n_;
  const float* const matrix_;
  float* const out_;
  const Scratch<float> inverse_;  // R_JJ⁻¹ for each J
  const Scratch<float> later_;    // R_JK
  const Scratch<double> mean_;
  const Scratch<int> bad_;
};

}  // namespace

void Factorize(const Context& context, const FactorizeParams& params) {
  if (params.matrix.cols() == 0) return;
  Factorization factorization(context, params);
  const double damping =
      FactorDamped(params, [&](double share) { return factorization.Factor(share); });
  if (params.inverse) factorization.Invert();
  double* info = params.info.f64();
  ForEach(context, "factorize", 1, [=] __device__(std::int64_t) { *info = damping; });
}

}  // namespace ballast::cuda
