// The grid of values that a uniform quantizer can represent, the codes on it, and the search for a
// group's grid; definition: Scheme in native/backend/params.h. The float32 operations are those of
// native/cpu/grid.cc and native/cpu/kernels/row_quantization.cc, in their order and without fused
// multiply-adds (the whole library is compiled so): scales, zeros and codes agree bit for bit. Only
// the errors by which the clipping search ranks its candidates are summed in another order.
#pragma once

#include <cfloat>

#include "cuda/numbers.cuh"
#include "cuda/reduce.cuh"

namespace ballast::cuda {

struct Interval {
  float low;   // never above zero
  float high;  // never below zero
};

struct Grid {
  float scale;
  float zero;
};

__host__ __device__ __forceinline__ float max_code_of(int bits) {
  return static_cast<float>((1 << bits) - 1);
}

// A NaN stays NaN.
__device__ __forceinline__ float clamp_float(float x, float low, float high) {
  return x < low ? low : (high < x ? high : x);
}

// Rounded to what storage holds, and kept positive and finite there.
__device__ __forceinline__ float stored_scale(DType dtype, float scale) {
  if (dtype == DType::kFloat16) {
    return clamp_float(__half2float(__float2half_rn(scale)), 0x1p-24f, 65504.0f);
  }
  if (dtype == DType::kBFloat16) scale = __bfloat162float(__float2bfloat16_rn(scale));
  return clamp_float(scale, FLT_MIN, FLT_MAX);
}

// A range of nothing but zeros is taken as −1 … 1.
__device__ __forceinline__ Grid grid_of(const Scheme& scheme, Interval range) {
  if (range.low == 0 && range.high == 0) range = {-1.0f, 1.0f};
  const float max_code = max_code_of(scheme.bits);
  if (scheme.symmetric) {
    const float largest = fmaxf(-range.low, range.high);
    return {stored_scale(scheme.scale_dtype, 2 * largest / max_code),
            static_cast<float>(1 << (scheme.bits - 1))};
  }
  const float scale = stored_scale(scheme.scale_dtype, (range.high - range.low) / max_code);
  return {scale, clamp_float(rintf(-range.low / scale), 0.0f, max_code)};
}

__device__ __forceinline__ float code_of(float x, Grid grid, float max_code) {
  const float whole = rintf(grid.zero);
  return clamp_float(rintf(x / grid.scale + (grid.zero - whole)) + whole, 0.0f, max_code);
}

__device__ __forceinline__ float value_of(float code, Grid grid) {
  return (code - grid.zero) * grid.scale;
}

// The range of load(0) … load(count − 1), over a warp; NaN is passed over.
template <class Load>
__device__ Interval range_of(int count, Load load) {
  Interval range = {0, 0};
  for (int i = threadIdx.x % kWarp; i < count; i += kWarp) {
    const float x = load(i);
    range = {fminf(range.low, x), fmaxf(range.high, x)};
  }
  return {warp_reduce(range.low, Least{}), warp_reduce(range.high, Largest{})};
}

// Σ m_i·|x_i − x̂_i|^exponent for a few candidates at once, over a warp. Errors are measured in
// units of the largest number, so that powers stay in range.
template <int kTrials, class Load>
__device__ void trial_errors(int count, Load load, const float* weights,
                             const Grid (&trials)[kTrials], float max_code, float exponent,
                             float unit, float (&errors)[kTrials]) {
#pragma unroll
  for (int t = 0; t < kTrials; ++t) errors[t] = 0;
  for (int i = threadIdx.x % kWarp; i < count; i += kWarp) {
    const float x = load(i);
    const float m = weights == nullptr ? 1.0f : weights[i];
#pragma unroll
    for (int t = 0; t < kTrials; ++t) {
      const float distance = fabsf(x - value_of(code_of(x, trials[t], max_code), trials[t]));
      errors[t] = fmaf(m, exp2f(log2f(distance * unit) * exponent), errors[t]);
    }
  }
#pragma unroll
  for (int t = 0; t < kTrials; ++t) errors[t] = warp_reduce(errors[t], Sum{});
}

// The grid of one group, found by a warp; every lane receives it. `weights` are those of the
// group's channels, or null.
template <class Load>
__device__ Grid find_grid(int count, Load load, const float* weights, const Scheme& scheme) {
  constexpr int kTrials = 4;
  const Interval full = range_of(count, load);
  Grid best = grid_of(scheme, full);
  const float largest = fmaxf(-full.low, full.high);
  // Zeros are represented exactly by any grid.
  const int steps = largest > 0 ? scheme.clip_steps : 0;
  const float unit = largest > 0 ? ldexpf(1.0f, -ilogbf(largest)) : 1.0f;
  float least = INFINITY;
  for (int first = 0; first < steps; first += kTrials) {
    Grid trials[kTrials];
#pragma unroll
    for (int t = 0; t < kTrials; ++t) {
      // Beyond the last step it is tried again, and cannot win again.
      const int step = min(first + t, steps - 1);
      const auto p = static_cast<float>(1 - step * scheme.clip_range / steps);
      trials[t] = grid_of(scheme, {full.low * p, full.high * p});
    }
    float errors[kTrials];
    trial_errors(count, load, weights, trials, max_code_of(scheme.bits),
                 static_cast<float>(scheme.clip_exponent), unit, errors);
#pragma unroll
    for (int t = 0; t < kTrials; ++t) {
      if (!(errors[t] < least)) continue;
      least = errors[t];
      best = trials[t];
    }
  }
  return best;
}

}  // namespace ballast::cuda
