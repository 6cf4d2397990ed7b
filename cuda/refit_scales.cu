// The sums of a band of rows: u_g and ΔW in full, then for each group g a float32 product u_g M, of
// which a block of threads a row keeps float64 sums alone. With these a warp a row goes through its
// scales (native/cpu/refit_scales.cc has the mathematics).
#include <algorithm>

#include "cuda/gemm.h"
#include "cuda/grid_loop.cuh"
#include "cuda/memory.h"
#include "cuda/move_scale.cuh"
#include "cuda/numbers.cuh"
#include "cuda/operations.h"
#include "cuda/reduce.cuh"
#include "cuda/trace.h"
#include "native/backend/refit_rounds.h"
namespace ballast::cuda {
namespace {

constexpr std::int64_t kBand = 2048;
constexpr std::int64_t kMostWarps = 8;

struct RefitBand {
  float* units;    // [band, n] u
  float* delta;    // [band, n]
  float* product;  // [band, n] u_g M
  double* slopes;  // [band, groups]
  double* gram;    // [band, groups, groups]
  float* scales;   // [band, groups]
  const double* trace;
  std::int64_t n;
  std::int64_t groups;
  std::int64_t size;  // of a group
  double damping;
  DType scale_dtype;
};

struct Dots {
  double units;
  double delta;
};

// x · u and x · ΔW over a group's columns; every lane receives them.
__device__ __forceinline__ Dots group_dots(const RefitBand& p, const float* x, std::int64_t row,
                                           std::int64_t group) {
  const std::int64_t first = row * p.n;
  Dots sums = {0, 0};
  for (std::int64_t j = group * p.size + threadIdx.x % kWarp; j < (group + 1) * p.size;
       j += kWarp) {
    const double factor = x[first + j];
    sums.units += factor * p.units[first + j];
    sums.delta += factor * p.delta[first + j];
  }
  return {warp_reduce(sums.units, Sum{}), warp_reduce(sums.delta, Sum{})};
}

__global__ void gather_sums_kernel(const RefitBand p, std::int64_t group) {
  const std::int64_t row = blockIdx.x;
  const int warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  const bool first_lane = threadIdx.x % kWarp == 0;
  double slope = 0;
  for (std::int64_t g = warp; g < p.groups; g += warps) {
    const Dots sums = group_dots(p, p.product, row, g);
    if (!first_lane) continue;
    p.gram[(row * p.groups + group) * p.groups + g] = sums.units;
    slope += sums.delta;
  }
  slope = block_reduce(slope, Sum{}, 0.0);
  if (threadIdx.x == 0) p.slopes[row * p.groups + group] = slope;
}

__global__ void move_scales_kernel(const RefitBand p) {
  const std::int64_t row = blockIdx.x;
  const int lane = threadIdx.x;
  double* slopes = p.slopes + row * p.groups;
  double* gram = p.gram + row * p.groups * p.groups;
  float* scales = p.scales + row * p.groups;
  const double damping = p.damping * *p.trace / p.n;
  for (std::int64_t g = 0; g < p.groups; ++g) {
    const Dots sums = group_dots(p, p.units, row, g);
    if (lane != 0) continue;
    slopes[g] += damping * sums.delta;
    gram[g * (p.groups + 1)] += damping * sums.units;
  }
  __syncwarp();
  double taken = 0, before = 0;
  for (int round = 0; round < kMostRefitRounds; ++round) {
    for (std::int64_t g = 0; g < p.groups; ++g) {
      float scale = scales[g];
      const float change =
          move_scale(p.scale_dtype, slopes[g], gram[g * (p.groups + 1)], scale, taken);
      __syncwarp();  // every lane has read what the next lines write
      if (change == 0) continue;
      if (lane == 0) scales[g] = scale;
      for (std::int64_t h = lane; h < p.groups; h += kWarp) {
        slopes[h] -= change * gram[g * p.groups + h];
      }
      __syncwarp();
    }
    if (p.groups == 1 || taken - before <= kLeastRefitShare * taken) return;
    before = taken;
  }
}

// u and ΔW of the band, whose weights and codes begin here.
template <class T>
void Load(const Context& context, const T* weight, const std::uint8_t* codes, const float* zeros,
          const RefitBand& p, std::int64_t band) {
  ForEach(context, "refitScales", band * p.n, [=] __device__(std::int64_t i) {
    const std::int64_t group = i / p.size;  // of all rows' groups, one after the other
    const float unit = static_cast<float>(codes[i]) - zeros[group];
    p.units[i] = unit;
    p.delta[i] = convert<float>(weight[i]) - p.scales[group] * unit;
  });
}

// u_g M of the band; rows of a symmetric matrix serve as its columns.
void Project(const Context& context, const RefitScalesParams& params, const RefitBand& p,
             std::int64_t group, std::int64_t band) {
  const std::int64_t begin = group * p.size;
  Multiply(context, "refitScales",
           {.a = {.data = p.units + begin, .stride = p.n},
            .b = {.data = params.matrix.f32() + begin, .stride = p.n},
            .rows = band,
            .columns = p.n,
            .depth = p.size,
            .out = p.product,
            .stride = p.n,
            .precision = params.precision});
}

}  // namespace

void RefitScales(const Context& context, const RefitScalesParams& params) {
  if (params.weight.shape.elements() == 0) return;
  const std::int64_t rows = params.weight.rows(), n = params.weight.cols();
  const std::int64_t groups = params.scales.cols(), most = std::min(kBand, rows);
  const Scratch<float> units(context, most * n), delta(context, most * n);
  const Scratch<float> product(context, most * n);
  const Scratch<double> slopes(context, most * groups), gram(context, most * groups * groups);
  const Scratch<double> trace(context, 1);
  Trace(context, "refitScales", params.matrix.f32(), n, trace.data());
  const auto warps = static_cast<unsigned>(std::min(groups, kMostWarps));
  for (std::int64_t first = 0; first < rows; first += kBand) {
    const std::int64_t band = std::min(kBand, rows - first);
    const auto blocks = static_cast<unsigned>(band);
    const RefitBand p = {.units = units.data(),
                         .delta = delta.data(),
                         .product = product.data(),
                         .slopes = slopes.data(),
                         .gram = gram.data(),
                         .scales = params.scales.f32() + first * groups,
                         .trace = trace.data(),
                         .n = n,
                         .groups = groups,
                         .size = n / groups,
                         .damping = params.damping,
                         .scale_dtype = params.scale_dtype};
    WithWeightType(params.weight.dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      Load(context, params.weight.as<T>() + first * n, params.codes.u8() + first * n,
           params.zeros.f32() + first * groups, p, band);
    });
    for (std::int64_t group = 0; group < groups; ++group) {
      context.ThrowIfCancelled();
      Project(context, params, p, group, band);
      gather_sums_kernel<<<blocks, warps * kWarp, 0, context.stream>>>(p, group);
      CheckLaunch("refitScales");
    }
    move_scales_kernel<<<blocks, kWarp, 0, context.stream>>>(p);
    CheckLaunch("refitScales");
  }
}

}  // namespace ballast::cuda
