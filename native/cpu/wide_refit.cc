#include "native/cpu/wide_refit.h"

#include <algorithm>

#include "native/cpu/gemm.h"
#include "native/cpu/move_scale.h"

namespace ballast::cpu {

void MultiplyByMatrix(const DescentState& state, std::int64_t begin, std::int64_t end,
                      const float* x, float* out) {
  Multiply(state.context, AlgebraGemmFor(state.context),
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
      product_(state.columns * state.padded),
      units_(state.groups > 1 ? state.group_size * state.padded : 0) {
  if (state.groups > 1) return;
  MultiplyByMatrix(state, 0, state.columns, state.delta.data(), product_.data());
}

void WideRefit::Run(std::int64_t group, Scratch<double>& taken) {
  if (state_.groups > 1) {
    const std::int64_t begin = group * state_.group_size, end = begin + state_.group_size;
    state_.ForStretches([&](std::int64_t first, std::int64_t count) {
      for (std::int64_t j = begin; j < end; ++j) {
        Units(j, {first, count}, units_.data() + (j - begin) * state_.padded + first);
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
  const std::int64_t padded = state_.padded;
  const std::int64_t begin = group * state_.group_size, end = begin + state_.group_size;
  float* const scales = state_.scales.data() + group * padded + first;
  Scratch<float> memory(4 * count);
  float* const units = memory.data();
  float* const projection = units + count;
  float* const inverse = projection + count;
  float* const change = inverse + count;
  Scratch<double> sums(2 * count);
  double* const slope = sums.data();
  double* const curvature = slope + count;
  std::fill_n(slope, 2 * count, 0.0);
  for (std::int64_t i = 0; i < count; ++i) inverse[i] = 1 / scales[i];
  for (std::int64_t j = begin; j < end; ++j) {
    Units(j, rows, units);
    Projection(j, rows, inverse, projection);
    const float* residual = residual_ + j * padded + first;
    for (std::int64_t i = 0; i < count; ++i) {
      slope[i] += static_cast<double>(units[i]) * residual[i];
      curvature[i] += static_cast<double>(units[i]) * projection[i];
    }
  }
  for (std::int64_t i = 0; i < count; ++i) {
    change[i] = MoveScale(state_.context.kernels, state_.params.scheme.scale_dtype, slope[i],
                          curvature[i], scales + i, &taken[first + i]);
  }
  for (std::int64_t k = 0; k < state_.columns; ++k) {
    Projection(k, rows, inverse, projection);
    float* residual = residual_ + k * padded + first;
    for (std::int64_t i = 0; i < count; ++i) residual[i] -= change[i] * projection[i];
  }
  for (std::int64_t j = begin; j < end; ++j) {
    Units(j, rows, units);
    float* delta = state_.delta.data() + j * padded + first;
    for (std::int64_t i = 0; i < count; ++i) delta[i] -= change[i] * units[i];
  }
}

void WideRefit::Units(std::int64_t column, const Rows& rows, float* units) const {
  const auto [first, count] = rows;
  const std::uint8_t* codes = state_.codes.data() + column * state_.padded + first;
  const float* zeros = state_.zeros.data() + column / state_.group_size * state_.padded + first;
  for (std::int64_t i = 0; i < count; ++i) units[i] = static_cast<float>(codes[i]) - zeros[i];
}

// u M, by the scale as it was when the refit began.
void WideRefit::Projection(std::int64_t column, const Rows& rows, const float* inverse,
                           float* projection) const {
  const auto [first, count] = rows;
  const std::int64_t at = column * state_.padded + first;
  const float* product = product_.data() + at;
  if (state_.groups > 1) {
    std::copy_n(product, count, projection);
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    projection[i] = (product[i] - residual_[at + i]) * inverse[i];
  }
}

}  // namespace ballast::cpu
