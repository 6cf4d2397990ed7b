#include "native/cpu/wide_refit.h"

#include <algorithm>

#include "native/cpu/gemm.h"
#include "native/cpu/move_scale.h"

namespace ballast::cpu {

void MultiplyByMatrix(const DescentState& state, std::int64_t begin, std::int64_t end,
                      const float* x, float* out) {
  Multiply(state.context, AlgebraGemmFor(state.context, state.params.precision),
           {.a = {.data = state.matrix + begin, .stride = state.columns},
            .b = {.data = x, .stride = state.padded, .depth_contiguous = false},
            .rows = state.columns,
            .columns = state.padded,
            .depth = end - begin,
            .out = out,
            .stride = state.padded});
}

WideRefit::WideRefit(DescentState& state, float* residual)
    : state_(state),
      residual_(residual),
      product_(state.columns * state.padded, state.context.blocks),
      units_(state.groups > 1 ? state.group_size * state.padded : 0, state.context.blocks) {
  if (state.groups > 1) return;
  MultiplyByMatrix(state, 0, state.columns, state.delta.data(), product_.data());
}

void WideRefit::Run(std::int64_t group, Scratch<double>& taken) {
  if (state_.groups > 1) {
    const std::int64_t begin = group * state_.group_size, end = begin + state_.group_size;
    state_.ForStretches([&](std::int64_t first, std::int64_t count) {
      for (std::int64_t j = begin; j < end; ++j) {
        const RefitColumn column = Column(j, group, {first, count}, nullptr);
        float* units = units_.data() + (j - begin) * state_.padded + first;
        for (std::int64_t i = 0; i < count; ++i) {
          units[i] = static_cast<float>(column.codes[i]) - column.zeros[i];
        }
      }
    });
    MultiplyByMatrix(state_, begin, end, units_.data(), product_.data());
  }
  state_.ForStretches([&](std::int64_t first, std::int64_t count) {
    RunRows(group, {first, count}, taken);
  });
}

void WideRefit::RunRows(std::int64_t group, const Rows& rows, Scratch<double>& taken) {
  const auto [first, count] = rows;
  const LinearKernels& kernels = state_.context.kernels.linear;
  const std::int64_t begin = group * state_.group_size, end = begin + state_.group_size;
  float* const scales = state_.scales.data() + group * state_.padded + first;
  Scratch<float> memory(2 * count);
  float* const change = memory.data();
  float* const inverses = state_.groups > 1 ? nullptr : change + count;
  for (std::int64_t i = 0; inverses != nullptr && i < count; ++i) inverses[i] = 1 / scales[i];
  Scratch<double> sums(2 * count);
  double* const slope = sums.data();
  double* const curvature = slope + count;
  std::fill_n(slope, 2 * count, 0.0);
  for (std::int64_t j = begin; j < end; ++j) {
    kernels.sum_refit(Column(j, group, rows, inverses), slope, curvature);
  }
  for (std::int64_t i = 0; i < count; ++i) {
    change[i] = MoveScale(state_.context.kernels, state_.params.scheme.scale_dtype, slope[i],
                          curvature[i], scales + i, &taken[first + i]);
  }
  for (std::int64_t k = 0; k < state_.columns; ++k) {
    kernels.apply_refit(Column(k, group, rows, inverses), change);
  }
}

// With u M by the scales as they were when the refit began.
RefitColumn WideRefit::Column(std::int64_t column, std::int64_t group, const Rows& rows,
                              const float* inverses) {
  const std::int64_t at = column * state_.padded + rows.first;
  const bool in_group = column / state_.group_size == group;
  return {.codes = in_group ? state_.codes.data() + at : nullptr,
          .zeros = state_.zeros.data() + group * state_.padded + rows.first,
          .product = product_.data() + at,
          .inverse = inverses,
          .residual = residual_ + at,
          .delta = state_.delta.data() + at,
          .ahead = DescentState::kColumnsAhead * state_.padded,
          .rows = rows.count};
}

}  // namespace ballast::cpu
