// One product for u M, where there are several groups, then a block of threads a row: two float64
// sums over the group, and the scale's change in all columns.
#include "cuda/grid_loop.cuh"
#include "cuda/move_scale.cuh"
#include "cuda/reduce.cuh"
#include "cuda/wide_refit.h"

namespace ballast::cuda {
namespace {

struct WideGroup {
  const float* product;
  float* residual;
  float* delta;
  const std::uint8_t* codes;
  float* scales;
  const float* zeros;
  double* taken;
  std::int64_t columns;
  std::int64_t groups;
  std::int64_t group_size;
  std::int64_t group;
  DType scale_dtype;
};

__global__ void refit_group_kernel(const WideGroup p) {
  const std::int64_t row = blockIdx.x, begin = p.group * p.group_size;
  const std::int64_t at = row * p.groups + p.group;
  float scale = p.scales[at];
  const float zero = p.zeros[at], inverse = 1 / scale;
  const std::uint8_t* codes = p.codes + row * p.columns + begin;
  const float* product = p.product + row * p.columns;
  float* residual = p.residual + row * p.columns;
  float* delta = p.delta + row * p.columns + begin;
  const auto unit = [=](std::int64_t j) { return static_cast<float>(codes[j]) - zero; };
  // u M, by the scale as it was when the refit began.
  const auto projection = [=](std::int64_t k) {
    return p.groups > 1 ? product[k] : (product[k] - residual[k]) * inverse;
  };
  double slope = 0, curvature = 0;
  for (std::int64_t j = threadIdx.x; j < p.group_size; j += blockDim.x) {
    slope += static_cast<double>(unit(j)) * residual[begin + j];
    curvature += static_cast<double>(unit(j)) * projection(begin + j);
  }
  slope = block_reduce(slope, Sum{}, 0.0);
  curvature = block_reduce(curvature, Sum{}, 0.0);
  double taken = 0;
  const float change = move_scale(p.scale_dtype, slope, curvature, scale, taken);
  if (change == 0) return;
  for (std::int64_t k = threadIdx.x; k < p.columns; k += blockDim.x) {
    residual[k] -= change * projection(k);
  }
  for (std::int64_t j = threadIdx.x; j < p.group_size; j += blockDim.x) {
    delta[j] -= change * unit(j);
  }
  if (threadIdx.x == 0) {
    p.scales[at] = scale;
    p.taken[row] += taken;
  }
}

void Units(const DescentState& state, std::int64_t group, float* units) {
  const std::int64_t columns = state.columns, groups = state.groups, size = state.group_size;
  const std::uint8_t* codes = state.codes + group * size;
  const float* zeros = state.zeros + group;
  ForEach(state.context, "descend", state.rows * size, [=] __device__(std::int64_t i) {
    const std::int64_t row = i / size;
    units[i] = static_cast<float>(codes[row * columns + i % size]) - zeros[row * groups];
  });
}

}  // namespace

WideRefit::WideRefit(const DescentState& state, float* residual)
    : state_(state),
      residual_(residual),
      product_(state.context, state.rows * state.columns),
      units_(state.context, state.groups > 1 ? state.rows * state.group_size : 0) {
  if (state.groups > 1) return;
  MultiplyByMatrix(state, 0, state.columns, state.delta, product_.data());
}

void WideRefit::Run(std::int64_t group, double* taken) {
  if (state_.groups > 1) {
    Units(state_, group, units_.data());
    MultiplyByMatrix(state_, group * state_.group_size, state_.group_size, units_.data(),
                     product_.data());
  }
  refit_group_kernel<<<static_cast<unsigned>(state_.rows), kThreads, 0, state_.context.stream>>>(
      {.product = product_.data(),
       .residual = residual_,
       .delta = state_.delta,
       .codes = state_.codes,
       .scales = state_.scales,
       .zeros = state_.zeros,
       .taken = taken,
       .columns = state_.columns,
       .groups = state_.groups,
       .group_size = state_.group_size,
       .group = group,
       .scale_dtype = state_.params.scheme.scale_dtype});
  CheckLaunch("descend");
}

}  // namespace ballast::cuda
