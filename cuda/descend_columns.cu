// A warp takes one row through the block: four columns a lane stay in registers, the block of M
// lies in shared memory, and what a column needs of its owner's registers goes to all lanes at
// once. Each code depends on those before it, so this is a chain of columns, cut short where a code
// stays. The float32 operations are the CPU's (native/cpu/kernels/linear_descent.cc); a refit's two
// sums over its group are float64 here.
#include <algorithm>

#include "cuda/check.h"
#include "cuda/descend_columns.h"
#include "cuda/move_scale.cuh"

namespace ballast::cuda {
namespace {

constexpr int kBlock = kDescentBlock;
constexpr int kRowWarps = 16;
constexpr int kPerLane = kBlock / kWarp;
constexpr int kSharedBytes = (kBlock + kRowWarps) * kBlock * static_cast<int>(sizeof(float));

// A lane's columns: lane, lane + 32, …; zeros beyond the block.
struct Columns {
  float residual[kPerLane];
  float code[kPerLane];
  float moved[kPerLane];
};

// What units u, a lane's columns of them, weigh in the error: u·r, and u M at all columns of the
// block.
struct Projection {
  float of[kPerLane];
  double slope;
  double curvature;
};

// `units` is the warp's own shared memory; `unit` is zero outside of the group [begin, end).
__device__ Projection project(const float (&unit)[kPerLane], int begin, int end,
                              const float* matrix, float* units, const Columns& row) {
  const int lane = threadIdx.x % kWarp;
  Projection out = {};
#pragma unroll
  for (int s = 0; s < kPerLane; ++s) units[s * kWarp + lane] = unit[s];
  __syncwarp();
  for (int j = begin; j < end; ++j) {
    const float own = units[j];
#pragma unroll
    for (int s = 0; s < kPerLane; ++s) {
      out.of[s] = fmaf(own, matrix[j * kBlock + s * kWarp + lane], out.of[s]);
    }
  }
  __syncwarp();
#pragma unroll
  for (int s = 0; s < kPerLane; ++s) {
    out.slope += static_cast<double>(unit[s]) * row.residual[s];
    out.curvature += static_cast<double>(unit[s]) * out.of[s];
  }
  out.slope = warp_reduce(out.slope, Sum{});
  out.curvature = warp_reduce(out.curvature, Sum{});
  return out;
}

// Q += change · u.
__device__ void shift(float change, const float (&unit)[kPerLane], const Projection& projection,
                      Columns& row) {
  if (change == 0) return;
#pragma unroll
  for (int s = 0; s < kPerLane; ++s) {
    row.residual[s] = fmaf(-change, projection.of[s], row.residual[s]);
    row.moved[s] = fmaf(change, unit[s], row.moved[s]);
  }
}

// A group's parameters, and the steps that they are multiples of, if they are.
struct GroupGrid {
  float scale;
  float zero;
  float scale_step;
  float offset_step;
};

// The scale of the group [begin, end) of the block.
__device__ void refit_group(const DescentColumns& p, int begin, int end, const float* matrix,
                            float* units, GroupGrid& grid, double& taken, Columns& row) {
  const int lane = threadIdx.x % kWarp;
  float unit[kPerLane];
#pragma unroll
  for (int s = 0; s < kPerLane; ++s) {
    const int k = s * kWarp + lane;
    unit[s] = k >= begin && k < end ? row.code[s] - grid.zero : 0.0f;
  }
  const Projection projection = project(unit, begin, end, matrix, units, row);
  shift(move_scale(p.scale_dtype, projection.slope, projection.curvature, grid.scale, taken), unit,
        projection, row);
}

// The same among multiples: the scale, and then the offset, a unit of which adds −1 to all values.
__device__ void refit_steps(const DescentColumns& p, int begin, int end, const float* matrix,
                            float* units, GroupGrid& grid, double& taken, Columns& row) {
  const int lane = threadIdx.x % kWarp;
  const float whole = p.super.symmetric ? 0 : rintf(grid.scale * grid.zero / grid.offset_step);
  const float zero = p.super.symmetric ? grid.zero : 0;
  float unit[kPerLane], one[kPerLane];
#pragma unroll
  for (int s = 0; s < kPerLane; ++s) {
    const int k = s * kWarp + lane;
    const bool inside = k >= begin && k < end;
    unit[s] = inside ? row.code[s] - zero : 0.0f;
    one[s] = inside ? 1.0f : 0.0f;
  }
  const Projection of_scale = project(unit, begin, end, matrix, units, row);
  shift(move_multiple(of_scale.slope, of_scale.curvature, {grid.scale_step, 1, p.super.most},
                      grid.scale, taken),
        unit, of_scale, row);
  if (p.super.symmetric) return;
  float offset = grid.offset_step > 0 ? grid.offset_step * whole : 0;
  const Projection of_offset = project(one, begin, end, matrix, units, row);
  shift(-move_multiple(-of_offset.slope, of_offset.curvature, {grid.offset_step, 0, p.super.most},
                       offset, taken),
        one, of_offset, row);
  grid.zero = offset / grid.scale;
}

__device__ void refit_groups(const DescentColumns& p, std::int64_t at, const float* matrix,
                             float* units, double& taken, Columns& row) {
  const bool steps = p.scale_steps != nullptr;
  for (int begin = 0; begin < p.size; begin += p.group_size, ++at) {
    const int end = begin + p.group_size;
    GroupGrid grid = {p.scales[at], p.zeros[at], steps ? p.scale_steps[at] : 0.0f,
                      steps ? p.offset_steps[at] : 0.0f};
    if (steps) {
      refit_steps(p, begin, end, matrix, units, grid, taken, row);
    } else {
      refit_group(p, begin, end, matrix, units, grid, taken, row);
    }
    __syncwarp();
    if (threadIdx.x % kWarp == 0) {
      p.scales[at] = grid.scale;
      if (steps) p.zeros[at] = grid.zero;
    }
  }
  __syncwarp();
}

// Each code in turn to its best value.
__device__ void sweep_codes(const DescentColumns& p, const float* scales, const float* matrix,
                            Columns& row) {
  const int lane = threadIdx.x % kWarp;
  float scale = 1, steps = 1;
  int group = 0, group_begin = 0;
#pragma unroll
  for (int s = 0; s < kPerLane; ++s) {
    for (int owner = 0; owner < kWarp; ++owner) {
      const int j = s * kWarp + owner;
      if (j >= p.size) break;
      if (j == group_begin) {
        scale = scales[group++];
        steps = 1 / scale;
        group_begin += p.group_size;
      }
      const float* column = matrix + j * kBlock;
      // An input that is never there: any code is as good, so it only becomes a whole number.
      const float inverse = column[j] > 0 ? 1 / column[j] : 0.0f;
      const float residual = __shfl_sync(kAllLanes, row.residual[s], owner);
      const float code = __shfl_sync(kAllLanes, row.code[s], owner);
      const float best = rintf(fmaf(residual * inverse, steps, code));
      const float clamped = fminf(p.max_code, fmaxf(0.0f, best));
      const float change = clamped - code;
      // Most columns of later passes: nothing to pass on.
      if (change == 0) continue;
      const float moved = change * scale;
      if (lane == owner) {
        row.code[s] = clamped;
        row.moved[s] += moved;
      }
#pragma unroll
      for (int t = 0; t < kPerLane; ++t) {
        row.residual[t] = fmaf(-moved, column[t * kWarp + lane], row.residual[t]);
      }
    }
  }
}

__device__ void descend_row(const DescentColumns& p, std::int64_t index, const float* matrix,
                            float* units) {
  const int lane = threadIdx.x % kWarp;
  const std::int64_t at = index * p.columns + p.begin;
  float* scales = p.scales + index * p.groups + p.first_group;
  const float* zeros = p.zeros + index * p.groups + p.first_group;
  Columns row = {};
#pragma unroll
  for (int s = 0; s < kPerLane; ++s) {
    const int k = s * kWarp + lane;
    if (k >= p.size) continue;
    row.residual[s] = p.residual[at + k];
    if (p.unrounded) {
      // Exact, so nothing of the weight is lost yet.
      const int group = k / p.group_size;
      row.code[s] = p.delta[at + k] / scales[group] + zeros[group];
    } else {
      row.code[s] = p.codes[at + k];
    }
  }
  double taken = 0;
  if (p.refit) {
    refit_groups(p, index * p.groups + p.first_group, matrix, units, taken, row);
  }
  for (std::int64_t sweep = 0; sweep < p.sweeps; ++sweep) sweep_codes(p, scales, matrix, row);
#pragma unroll
  for (int s = 0; s < kPerLane; ++s) {
    const int k = s * kWarp + lane;
    if (k >= p.size) continue;
    p.codes[at + k] = static_cast<std::uint8_t>(static_cast<int>(row.code[s]));
    p.delta[at + k] = (p.unrounded ? 0.0f : p.delta[at + k]) - row.moved[s];
    p.moved[index * kBlock + k] = row.moved[s];
  }
  if (p.refit && lane == 0) p.taken[index] += taken;
}

__global__ void __launch_bounds__(kRowWarps* kWarp, 1)
    descend_columns_kernel(const DescentColumns p) {
  extern __shared__ float shared[];
  float* matrix = shared;  // [kBlock, kBlock], zero where the block has no column
  float* units = shared + kBlock * kBlock + threadIdx.x / kWarp * kBlock;
  for (int i = threadIdx.x; i < kBlock * kBlock; i += blockDim.x) {
    const int row = i / kBlock, column = i % kBlock;
    const bool inside = row < p.size && column < p.size;
    matrix[i] = inside ? p.matrix[(p.begin + row) * p.columns + p.begin + column] : 0.0f;
  }
  __syncthreads();
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kRowWarps;
  for (std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRowWarps + threadIdx.x / kWarp;
       row < p.rows; row += stride) {
    descend_row(p, row, matrix, units);
  }
}

}  // namespace

void DescendColumns(const Context& context, const DescentColumns& columns) {
  Check(cudaFuncSetAttribute(descend_columns_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             kSharedBytes),
        "preparing descend");
  // Blocks go on to further rows, so that M is loaded a few times for each multiprocessor.
  const auto blocks = static_cast<unsigned>(std::min(
      DivideUp(columns.rows, kRowWarps), static_cast<std::int64_t>(context.processors) * 2));
  descend_columns_kernel<<<blocks, kRowWarps * kWarp, kSharedBytes, context.stream>>>(columns);
  CheckLaunch("descend");
}

}  // namespace ballast::cuda
