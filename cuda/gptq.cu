// Columns in blocks of at most 128 (arXiv 2210.17323, section 3.3), cut as on the CPU: a block
// never ends inside a group that begins inside it. A warp takes one row through a block: four
// weights a lane stay in registers, a column's error goes to all lanes at once, and the block's
// factor lies in shared memory. The columns after the block receive all of its errors in one
// product. Errors take the place of weights that have been swept. Inside a block the float32
// operations are the CPU's; the products' sums differ in their order.
#include <algorithm>

#include "cuda/check.h"
#include "cuda/gemm.h"
#include "cuda/grid.cuh"
#include "cuda/index_check.h"
#include "cuda/memory.h"
#include "cuda/operations.h"

namespace ballast::cuda {
namespace {

constexpr int kBlock = 128;
constexpr int kRowWarps = 16;
constexpr int kPerLane = kBlock / kWarp;
constexpr int kSharedBytes = (kBlock + kRowWarps) * kBlock * static_cast<int>(sizeof(float));

struct Sweep {
  float* weight;        // [rows, columns], of swept columns their errors
  const float* factor;  // [columns, columns]
  const float* channel_weights;
  const std::int32_t* group_index;
  float* scales;  // [rows, groups]
  float* zeros;
  std::uint8_t* codes;  // [rows, columns]
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t groups;
  std::int64_t group_size;
  Scheme scheme;
  bool fixed;
};

// The grid of the group that begins at column `begin + j`, on the weights as updated: those of the
// block lie in `own`, those of later blocks in memory.
__device__ Grid begin_group(const Sweep& p, std::int64_t row, std::int64_t begin, int j, int size,
                            std::int64_t group, const float* own) {
  const std::int64_t column = begin + j;
  const float* stored = p.weight + row * p.columns + column;
  const auto count = static_cast<int>(p.group_size);
  const int fresh = min(count, size - j);
  const float* weights = p.channel_weights == nullptr ? nullptr : p.channel_weights + column;
  const Grid grid = find_grid(
      count, [=](int i) { return i < fresh ? own[j + i] : stored[i]; }, weights, p.scheme);
  if (threadIdx.x % kWarp == 0) {
    p.scales[row * p.groups + group] = grid.scale;
    p.zeros[row * p.groups + group] = grid.zero;
  }
  return grid;
}

__device__ __forceinline__ Grid stored_grid(const Sweep& p, std::int64_t row, std::int64_t group) {
  return {p.scales[row * p.groups + group], p.zeros[row * p.groups + group]};
}

// One row through the block of columns [begin, begin + size).
__device__ void sweep_row(const Sweep& p, std::int64_t row, std::int64_t begin, int size,
                          const float* factor, float* own) {
  const int lane = threadIdx.x % kWarp;
  const float max_code = max_code_of(p.scheme.bits);
  const float* stored = p.weight + row * p.columns + begin;
  float w[kPerLane], error[kPerLane] = {}, code[kPerLane] = {};
#pragma unroll
  for (int s = 0; s < kPerLane; ++s) {
    const int k = s * kWarp + lane;
    w[s] = k < size ? stored[k] : 0.0f;
  }
  Grid grid = {1, 0};
  // Where groups are runs of columns, the next one begins at column `next`; a division for each
  // column would take as long as all else that is done with it.
  std::int64_t group = p.group_index == nullptr ? begin / p.group_size - 1 : -1;
  int next = 0;
#pragma unroll
  for (int s = 0; s < kPerLane; ++s) {
    for (int owner = 0; owner < kWarp; ++owner) {
      const int j = s * kWarp + owner;
      if (j >= size) break;
      // 1. The column's grid.
      if (p.group_index != nullptr) {
        const std::int64_t wanted = p.group_index[begin + j];
        if (wanted != group) grid = stored_grid(p, row, wanted);
        group = wanted;
      } else if (j == next) {
        ++group;
        const bool begins = begin <= group * p.group_size;
        next = static_cast<int>(min((group + 1) * p.group_size - begin, std::int64_t{kBlock}));
        if (begins && !p.fixed) {
#pragma unroll
          for (int t = 0; t < kPerLane; ++t) own[t * kWarp + lane] = w[t];
          __syncwarp();
          grid = begin_group(p, row, begin, j, size, group, own);
          __syncwarp();
        } else {
          grid = stored_grid(p, row, group);
        }
      }
      // 2. Its code and error, the same in all lanes.
      const float weight = __shfl_sync(kAllLanes, w[s], owner);
      const float own_code = code_of(weight, grid, max_code);
      const float own_error = (weight - value_of(own_code, grid)) / factor[j * kBlock + j];
      if (lane == owner) {
        code[s] = own_code;
        error[s] = own_error;
      }
      // 3. Later columns of the block.
#pragma unroll
      for (int t = s; t < kPerLane; ++t) {
        const int k = t * kWarp + lane;
        if (k > j) w[t] -= own_error * factor[j * kBlock + k];
      }
    }
  }
#pragma unroll
  for (int s = 0; s < kPerLane; ++s) {
    const int k = s * kWarp + lane;
    if (k >= size) continue;
    p.weight[row * p.columns + begin + k] = error[s];
    p.codes[row * p.columns + begin + k] = static_cast<std::uint8_t>(static_cast<int>(code[s]));
  }
}

__global__ void __launch_bounds__(kRowWarps* kWarp, 1)
    sweep_block_kernel(const Sweep p, std::int64_t begin, int size) {
  extern __shared__ float shared[];
  float* factor = shared;  // [kBlock, kBlock], zero where the block has no column
  float* own = shared + kBlock * kBlock + threadIdx.x / kWarp * kBlock;
  for (int i = threadIdx.x; i < kBlock * kBlock; i += blockDim.x) {
    const int row = i / kBlock, column = i % kBlock;
    const bool inside = row < size && column < size;
    factor[i] = inside ? p.factor[(begin + row) * p.columns + begin + column] : 0.0f;
  }
  __syncthreads();
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kRowWarps;
  for (std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRowWarps + threadIdx.x / kWarp;
       row < p.rows; row += stride) {
    sweep_row(p, row, begin, size, factor, own);
  }
}

std::int64_t BlockEnd(const Sweep& p, std::int64_t begin) {
  const std::int64_t most = std::min(begin + kBlock, p.columns);
  if (p.fixed) return most;
  const std::int64_t group_end = (begin / p.group_size + 1) * p.group_size;
  return group_end >= most ? most : most / p.group_size * p.group_size;
}

// W −= E U for the columns after the block.
void UpdateLater(const Context& context, const Sweep& p, std::int64_t begin, std::int64_t end) {
  Multiply(context, "gptq",
           {.a = {.data = p.weight + begin, .stride = p.columns},
            .b = {.data = p.factor + begin * p.columns + end,
                  .stride = p.columns,
                  .depth_contiguous = false},
            .rows = p.rows,
            .columns = p.columns - end,
            .depth = end - begin,
            .out = p.weight + end,
            .stride = p.columns,
            .update = Update::kSubtract});
}

}  // namespace

void Gptq(const Context& context, const GptqParams& params) {
  if (!params.group_index.empty()) {
    CheckIndex(context, "groups", params.group_index, params.scales.cols());
  }
  const std::int64_t rows = params.weight.rows(), columns = params.weight.cols();
  if (rows == 0 || columns == 0) return;
  const Sweep sweep = {.weight = params.weight.f32(),
                       .factor = params.factor.f32(),
                       .channel_weights = params.channel_weights.f32(),
                       .group_index = params.group_index.i32(),
                       .scales = params.scales.f32(),
                       .zeros = params.zeros.f32(),
                       .codes = params.codes.u8(),
                       .rows = rows,
                       .columns = columns,
                       .groups = params.scales.cols(),
                       .group_size = columns / params.scales.cols(),
                       .scheme = params.scheme,
                       .fixed = params.fixed_scales};
  Check(cudaFuncSetAttribute(sweep_block_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             kSharedBytes),
        "preparing gptq");
  // Blocks go on to further rows, so that the factor is loaded a few times for each multiprocessor.
  const auto blocks = static_cast<unsigned>(
      std::min(DivideUp(rows, kRowWarps), static_cast<std::int64_t>(context.processors) * 2));
  for (std::int64_t begin = 0, end = 0; begin < columns; begin = end) {
    context.ThrowIfCancelled();
    end = BlockEnd(sweep, begin);
    sweep_block_kernel<<<blocks, kRowWarps * kWarp, kSharedBytes, context.stream>>>(
        sweep, begin, static_cast<int>(end - begin));
    CheckLaunch("gptq");
    UpdateLater(context, sweep, begin, end);
  }
}

}  // namespace ballast::cuda
