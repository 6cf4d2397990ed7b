// The residual r = ΔW M holds for every column before each block of columns; a block works on a
// copy of its part, and what it moved reaches all columns in one product. So a pass costs about one
// product of [out, in] and [in, in]. Blocks and steps are the CPU's. The host waits for the error
// twice a pass: whether another one follows depends on it.
// Sources: COMQ (arXiv 2403.07134) for the codes; least squares along one scale for the refits.
#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include "cuda/descend_columns.h"
#include "cuda/descent_state.h"
#include "cuda/gemm.h"
#include "cuda/grid.cuh"
#include "cuda/grid_loop.cuh"
#include "cuda/operations.h"
#include "cuda/row_dot.cuh"
#include "cuda/wide_refit.h"
#include "native/backend/descent_passes.h"

namespace ballast::cuda {
namespace {

// out[o] = Σ_j M_jj ΔW_oj².
void DiagonalError(const DescentState& state, double* out) {
  const float *delta = state.delta, *matrix = state.matrix;
  const std::int64_t columns = state.columns;
  ForEach(state.context, "descend", state.rows, [=] __device__(std::int64_t o) {
    double sum = 0;
    for (std::int64_t j = 0; j < columns; ++j) {
      const double value = delta[o * columns + j];
      sum += value * value * matrix[j * (columns + 1)];
    }
    out[o] = sum;
  });
}

class Descent {
 public:
  Descent(const Context& context, const DescendParams& params)
      : context_(context),
        params_(params),
        state_(context, params),
        wide_(state_.group_size > kDescentBlock),
        residual_(context, state_.rows * state_.columns),
        moved_(context, state_.rows * kDescentBlock),
        of_rows_(context, state_.rows) {}

  void Run() {
    Start();
    std::vector<double> errors(1 + 2 * params_.rounds);
    DescendPasses(
        params_, errors, [&] { return TotalError(); }, [&] { return Pass(); },
        [&] { return Rounding(); });
    Check(cudaMemcpyAsync(params_.errors.f64(), errors.data(), errors.size() * sizeof(double),
                          cudaMemcpyHostToDevice, context_.stream),
          "descending");
    state_.Save();
  }

 private:
  void Start() {
    if (wide_ && params_.refit) wide_refit_.emplace(state_, residual_.data());
    if (params_.unrounded) {
      // Nothing is lost yet; one sweep rounds column after column.
      Check(cudaMemsetAsync(residual_.data(), 0, state_.rows * state_.columns * sizeof(float),
                            context_.stream),
            "descending");
      ForBlocks([&](std::int64_t begin, std::int64_t end) { Sweep(begin, end, true); });
      return;
    }
    state_.SubtractQuantized();
    MultiplyByMatrix(state_, 0, state_.columns, state_.delta, residual_.data());
  }

  // Returns what the refits took off the error.
  double Pass() {
    Check(cudaMemsetAsync(of_rows_.data(), 0, state_.rows * sizeof(double), context_.stream),
          "descending");
    ForBlocks([&](std::int64_t begin, std::int64_t end) {
      if (wide_refit_ && begin % state_.group_size == 0) {
        wide_refit_->Run(begin / state_.group_size, of_rows_.data());
      }
      if (!wide_ || params_.sweeps > 0) Sweep(begin, end, false);
    });
    return SumOfRows();
  }

  // Blocks hold whole groups, or parts of one.
  template <class F>
  void ForBlocks(F body) {
    const std::int64_t group_size = state_.group_size, columns = state_.columns;
    const std::int64_t whole_groups = kDescentBlock / group_size * group_size;
    for (std::int64_t begin = 0, end = 0; begin < columns; begin = end) {
      context_.ThrowIfCancelled();
      const std::int64_t group_end = (begin / group_size + 1) * group_size;
      end = wide_ ? std::min(begin + kDescentBlock, group_end)
                  : std::min(begin + whole_groups, columns);
      body(begin, end);
    }
  }

  void Sweep(std::int64_t begin, std::int64_t end, bool unrounded) {
    const std::int64_t size = end - begin;
    DescendColumns(context_, {.matrix = state_.matrix,
                              .residual = residual_.data(),
                              .delta = state_.delta,
                              .codes = state_.codes,
                              .scales = state_.scales,
                              .zeros = state_.zeros,
                              .scale_steps = state_.scale_steps,
                              .offset_steps = state_.offset_steps,
                              .moved = moved_.data(),
                              .taken = of_rows_.data(),
                              .rows = state_.rows,
                              .columns = state_.columns,
                              .groups = state_.groups,
                              .begin = begin,
                              .size = static_cast<int>(size),
                              .first_group = begin / state_.group_size,
                              .group_size = static_cast<int>(wide_ ? size : state_.group_size),
                              .sweeps = unrounded ? 1 : params_.sweeps,
                              .max_code = max_code_of(params_.scheme.bits),
                              .scale_dtype = params_.scheme.scale_dtype,
                              .super = SuperBlockOf(params_.scheme.bits),
                              .refit = params_.refit && !wide_ && !unrounded,
                              .unrounded = unrounded});
    // r −= (what the block moved) M; the matrix is symmetric.
    Multiply(context_, "descend",
             {.a = {.data = moved_.data(), .stride = kDescentBlock},
              .b = {.data = state_.matrix + begin, .stride = state_.columns},
              .rows = state_.rows,
              .columns = state_.columns,
              .depth = size,
              .out = residual_.data(),
              .stride = state_.columns,
              .update = Update::kSubtract,
              .precision = params_.precision});
  }

  // Of r, which may raise the error where ΔW lies in directions that M hardly has: a product's is
  // 2⁻¹⁷ Σ|a||b| at most, or 2⁻¹⁵ of two parts of each (cuda/gemm.h), and
  // (Σ_j |ΔW_j| √M_jj)² <= in·Σ_j M_jj ΔW_j².
  double Rounding() {
    DiagonalError(state_, of_rows_.data());
    const bool exact = params_.precision == Precision::kFloat32;
    return (exact ? 0x1p-17 : 0x1p-15) * state_.columns * SumOfRows();
  }

  // Σ ΔW r.
  double TotalError() {
    RowDot(context_, "descend", state_.delta, residual_.data(), state_.columns, state_.rows,
           state_.columns, of_rows_.data());
    return SumOfRows();
  }

  // Waits for what of_rows_ will hold.
  double SumOfRows() {
    std::vector<double> values(state_.rows);
    Check(cudaMemcpyAsync(values.data(), of_rows_.data(), values.size() * sizeof(double),
                          cudaMemcpyDeviceToHost, context_.stream),
          "descending");
    Check(cudaStreamSynchronize(context_.stream), "descending");
    return std::accumulate(values.begin(), values.end(), 0.0);
  }

  const Context& context_;
  const DescendParams& params_;
  DescentState state_;
  const bool wide_;                // groups are larger than a block
  const Scratch<float> residual_;  // [out, in] r = ΔW M
  const Scratch<float> moved_;     // [out, kDescentBlock]: what the block at hand changed Q by
  const Scratch<double> of_rows_;  // [out]: a number of each row, to be summed
  std::optional<WideRefit> wide_refit_;
};

}  // namespace

void Descend(const Context& context, const DescendParams& params) {
  if (params.weight.shape.elements() == 0) {
    Check(cudaMemsetAsync(params.errors.bytes, 0, params.errors.byte_count(), context.stream),
          "descending");
    return;
  }
  Descent(context, params).Run();
}

}  // namespace ballast::cuda
