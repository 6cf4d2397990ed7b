// Columns in blocks of at most 128 (arXiv 2210.17323, section 3.3). What the blocks A before a
// block B leave of e = ΔW R in its columns is C_B = Σ_A ΔW_A R_AB, and the best answer of B's own
// weights to that is C_B U with U = R_BB⁻¹, the square that R⁻¹ has there as well: with it the
// block is swept as published. Then its ΔW goes into C of all columns after it, in one product. C
// lies where e will. A warp takes one row through a block: four weights a lane stay in registers, a
// column's error goes to all lanes at once, and U lies in shared memory.
#include <algorithm>
#include <vector>

#include "cuda/check.h"
#include "cuda/gemm.h"
#include "cuda/grid.cuh"
#include "cuda/index_check.h"
#include "cuda/memory.h"
#include "cuda/operations.h"
#include "cuda/triangle.h"
#include "native/backend/sweep_blocks.h"

namespace ballast::cuda {
namespace {

constexpr int kBlock = SweepBlocks::kMost;
constexpr int kRowWarps = 16;
constexpr int kPerLane = kBlock / kWarp;
constexpr int kSharedBytes = (kBlock + kRowWarps) * kBlock * static_cast<int>(sizeof(float));

struct Sweep {
  const float* weight;  // [rows, columns]
  const float* factor;  // R [columns, columns]
  float* errors;        // [rows, columns] e, of columns still to be swept C
  float* block;         // [rows, kBlock]: the answer of a block's weights to C, then their ΔW
  float* answer;        // [rows, group_size] of a group that is larger than a block
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
  Precision precision;
};

// The grid of the group that begins at column `begin + j`, on the weights as updated: those of the
// block lie in `own`, those of later blocks are made here.
__device__ Grid begin_group(const Sweep& p, std::int64_t row, std::int64_t begin, int j, int size,
                            std::int64_t group, const float* own) {
  const std::int64_t column = begin + j;
  const float* stored = p.weight + row * p.columns + column;
  const auto count = static_cast<int>(p.group_size);
  const int fresh = min(count, size - j);
  const float* weights = p.channel_weights == nullptr ? nullptr : p.channel_weights + column;
  const Grid grid = find_grid(
      count,
      [=](int i) {
        if (i < fresh) return own[j + i];
        return stored[i] + (column > 0 ? p.answer[row * p.group_size + i] : 0.0f);
      },
      weights, p.scheme);
  if (threadIdx.x % kWarp == 0) {
    p.scales[row * p.groups + group] = grid.scale;
    p.zeros[row * p.groups + group] = grid.zero;
  }
  return grid;
}

__device__ __forceinline__ Grid stored_grid(const Sweep& p, std::int64_t row, std::int64_t group) {
  return {p.scales[row * p.groups + group], p.zeros[row * p.groups + group]};
}

// One row through the block of columns [begin, begin + size), with U of it.
__device__ void sweep_row(const Sweep& p, std::int64_t row, std::int64_t begin, int size,
                          const float* inverse, float* own) {
  const int lane = threadIdx.x % kWarp;
  const float max_code = max_code_of(p.scheme.bits);
  const float* stored = p.weight + row * p.columns + begin;
  float* const of_block = p.block + row * kBlock;
  float w[kPerLane], error[kPerLane] = {}, code[kPerLane] = {}, value[kPerLane] = {};
#pragma unroll
  for (int s = 0; s < kPerLane; ++s) {
    const int k = s * kWarp + lane;
    w[s] = k < size ? stored[k] + (begin > 0 ? of_block[k] : 0.0f) : 0.0f;
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
      const float own_value = value_of(own_code, grid);
      const float own_error = (weight - own_value) / inverse[j * kBlock + j];
      if (lane == owner) {
        code[s] = own_code;
        value[s] = own_value;
        error[s] = own_error;
      }
      // 3. Later columns of the block.
#pragma unroll
      for (int t = s; t < kPerLane; ++t) {
        const int k = t * kWarp + lane;
        if (k > j) w[t] -= own_error * inverse[j * kBlock + k];
      }
    }
  }
#pragma unroll
  for (int s = 0; s < kPerLane; ++s) {
    const int k = s * kWarp + lane;
    if (k >= size) continue;
    of_block[k] = stored[k] - value[s];
    p.errors[row * p.columns + begin + k] = error[s];
    p.codes[row * p.columns + begin + k] = static_cast<std::uint8_t>(static_cast<int>(code[s]));
  }
}

__global__ void __launch_bounds__(kRowWarps* kWarp, 1)
    sweep_block_kernel(const Sweep p, std::int64_t begin, int size, const float* inverse) {
  extern __shared__ float shared[];
  float* square = shared;  // [kBlock, kBlock]
  float* own = shared + kBlock * kBlock + threadIdx.x / kWarp * kBlock;
  for (int i = threadIdx.x; i < kBlock * kBlock; i += blockDim.x) square[i] = inverse[i];
  __syncthreads();
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kRowWarps;
  for (std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRowWarps + threadIdx.x / kWarp;
       row < p.rows; row += stride) {
    sweep_row(p, row, begin, size, square, own);
  }
}

// out = carried · U of a block.
void Answer(const Context& context, const Sweep& p, const SweepBlock& block, const float* inverse,
            const float* carried, std::int64_t carried_stride, float* out, std::int64_t stride) {
  Multiply(context, "gptq",
           {.a = {.data = carried, .stride = carried_stride},
            .b = {.data = inverse, .stride = kBlock, .depth_contiguous = false},
            .rows = p.rows,
            .columns = block.size(),
            .depth = block.size(),
            .out = out,
            .stride = stride,
            .precision = p.precision});
}

// out ± x R over some columns after the block.
void Carry(const Context& context, const Sweep& p, const SweepBlock& block, const float* x,
           std::int64_t x_stride, std::int64_t columns, float* out, std::int64_t stride,
           Update update) {
  if (columns == 0) return;
  Multiply(context, "gptq",
           {.a = {.data = x, .stride = x_stride},
            .b = {.data = p.factor + block.begin * p.columns + block.end,
                  .stride = p.columns,
                  .depth_contiguous = false},
            .rows = p.rows,
            .columns = columns,
            .depth = block.size(),
            .out = out,
            .stride = stride,
            .update = update,
            .precision = p.precision});
}

// C R_GG⁻¹ of the group that begins with the i-th block, block after block of it.
void AnswerGroup(const Context& context, const Sweep& p, const std::vector<SweepBlock>& blocks,
                 std::size_t i, const float* inverse) {
  const std::int64_t begin = blocks[i].begin, end = begin + p.group_size;
  const auto pitch = [](std::int64_t columns) {
    return static_cast<std::size_t>(columns) * sizeof(float);
  };
  Check(cudaMemcpy2DAsync(p.answer, pitch(p.group_size), p.errors + begin, pitch(p.columns),
                          pitch(p.group_size), static_cast<std::size_t>(p.rows),
                          cudaMemcpyDeviceToDevice, context.stream),
        "running gptq");
  for (; i < blocks.size() && blocks[i].begin < end; ++i, inverse += kBlock * kBlock) {
    const SweepBlock& block = blocks[i];
    float* const part = p.answer + (block.begin - begin);
    Answer(context, p, block, inverse, part, p.group_size, part, p.group_size);
    Carry(context, p, block, part, p.group_size, end - block.end, part + block.size(), p.group_size,
          Update::kSubtract);
  }
}

}  // namespace

void Gptq(const Context& context, const GptqParams& params) {
  const std::int64_t rows = params.weight.rows(), columns = params.weight.cols();
  if (!params.group_index.empty()) {
    CheckIndex(context, "groups", params.group_index, params.scales.cols());
  }
  if (rows == 0 || columns == 0) return;
  const std::int64_t groups = params.scales.cols(), group_size = columns / groups;
  const SweepBlocks cut(params);
  std::vector<SweepBlock> blocks;
  for (std::int64_t i = 0; i < cut.count(); ++i) blocks.push_back(cut[i]);
  const Scratch<float> inverses(context, cut.count() * kBlock * kBlock);
  const Scratch<float> block_weights(context, rows * kBlock);
  const Scratch<float> answer(context, cut.large_groups() ? rows * group_size : 0);
  const Sweep sweep = {.weight = params.weight.f32(),
                       .factor = params.factor.f32(),
                       .errors = params.errors.f32(),
                       .block = block_weights.data(),
                       .answer = answer.data(),
                       .channel_weights = params.channel_weights.f32(),
                       .group_index = params.group_index.i32(),
                       .scales = params.scales.f32(),
                       .zeros = params.zeros.f32(),
                       .codes = params.codes.u8(),
                       .rows = rows,
                       .columns = columns,
                       .groups = groups,
                       .group_size = group_size,
                       .scheme = params.scheme,
                       .fixed = params.fixed_scales,
                       .precision = params.precision};
  InvertSquares(context, sweep.factor, columns, blocks, inverses.data());
  Check(cudaFuncSetAttribute(sweep_block_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             kSharedBytes),
        "preparing gptq");
  // Blocks go on to further rows, so that U is loaded a few times for each multiprocessor.
  const auto launched = static_cast<unsigned>(
      std::min(DivideUp(rows, kRowWarps), static_cast<std::int64_t>(context.processors) * 2));
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    context.ThrowIfCancelled();
    const SweepBlock& block = blocks[i];
    const float* inverse = inverses.data() + static_cast<std::int64_t>(i) * kBlock * kBlock;
    if (block.begin > 0) {
      if (cut.large_groups() && block.begin % group_size == 0) {
        AnswerGroup(context, sweep, blocks, i, inverse);
      }
      Answer(context, sweep, block, inverse, sweep.errors + block.begin, columns, sweep.block,
             kBlock);
    }
    sweep_block_kernel<<<launched, kRowWarps * kWarp, kSharedBytes, context.stream>>>(
        sweep, block.begin, static_cast<int>(block.size()), inverse);
    CheckLaunch("gptq");
    Carry(context, sweep, block, sweep.block, kBlock, columns - block.end, sweep.errors + block.end,
          columns, block.begin == 0 ? Update::kStore : Update::kAdd);
  }
}

}  // namespace ballast::cuda
