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
    state_.ForLanes([&](std::int64_t first) {
      for (std::int64_t j = begin; j < end; ++j) {
        Units(j, first, units_.data() + (j - begin) * state_.padded + first);
      }
    });
    MultiplyByMatrix(state_, begin, end, units_.data(), product_.data());
  }
  state_.ForLanes([&](std::int64_t first) { RunLanes(group, first, taken); });
}

void WideRefit::RunLanes(std::int64_t group, std::int64_t first, Scratch<double>& taken) {
  const std::int64_t lanes = state_.lanes, padded = state_.padded;
  const std::int64_t begin = group * state_.group_size, end = begin + state_.group_size;
  float* const scales = state_.scales.data() + group * padded + first;
  Scratch<float> memory(4 * lanes);
  float* const units = memory.data();
  float* const projection = units + lanes;
  float* const inverse = projection + lanes;
  float* const change = inverse + lanes;
  Scratch<double> sums(2 * lanes);
  double* const slope = sums.data();
  double* const curvature = slope + lanes;
  std::fill_n(slope, 2 * lanes, 0.0);
  for (std::int64_t lane = 0; lane < lanes; ++lane) inverse[lane] = 1 / scales[lane];
  for (std::int64_t j = begin; j < end; ++j) {
    Units(j, first, units);
    Projection(j, first, inverse, projection);
    const float* residual = residual_ + j * padded + first;
    for (std::int64_t lane = 0; lane < lanes; ++lane) {
      slope[lane] += static_cast<double>(units[lane]) * residual[lane];
      curvature[lane] += static_cast<double>(units[lane]) * projection[lane];
    }
  }
  for (std::int64_t lane = 0; lane < lanes; ++lane) {
    change[lane] = MoveScale(state_.context.kernels, state_.params.scheme.scale_dtype, slope[lane],
                             curvature[lane], scales + lane, &taken[first + lane]);
  }
  for (std::int64_t k = 0; k < state_.columns; ++k) {
    Projection(k, first, inverse, projection);
    float* residual = residual_ + k * padded + first;
    for (std::int64_t lane = 0; lane < lanes; ++lane) {
      residual[lane] -= change[lane] * projection[lane];
    }
  }
  for (std::int64_t j = begin; j < end; ++j) {
    Units(j, first, units);
    float* delta = state_.delta.data() + j * padded + first;
    for (std::int64_t lane = 0; lane < lanes; ++lane) delta[lane] -= change[lane] * units[lane];
  }
}

void WideRefit::Units(std::int64_t column, std::int64_t first, float* units) const {
  const std::uint8_t* codes = state_.codes.data() + column * state_.padded + first;
  const float* zeros = state_.zeros.data() + column / state_.group_size * state_.padded + first;
  for (std::int64_t lane = 0; lane < state_.lanes; ++lane) {
    units[lane] = static_cast<float>(codes[lane]) - zeros[lane];
  }
}

// u M, by the scale as it was when the refit began.
void WideRefit::Projection(std::int64_t column, std::int64_t first, const float* inverse,
                           float* projection) const {
  const std::int64_t at = column * state_.padded + first;
  const float* product = product_.data() + at;
  if (state_.groups > 1) {
    std::copy_n(product, state_.lanes, projection);
    return;
  }
  for (std::int64_t lane = 0; lane < state_.lanes; ++lane) {
    projection[lane] = (product[lane] - residual_[at + lane]) * inverse[lane];
  }
}

}  // namespace ballast::cpu
