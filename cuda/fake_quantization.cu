// Quantization of activations and back. Dynamic grids of rows and groups: a warp or a block finds
// the range and quantizes at once, while the numbers are in the cache. Per tensor: the range of all
// blocks first, which does not depend on any order.
#include "cuda/grid.cuh"
#include "cuda/grid_loop.cuh"
#include "cuda/memory.h"
#include "cuda/operations.h"
#include "cuda/reductions.h"

namespace ballast::cuda {
namespace {

constexpr int kGroupWarps = 8;

__device__ __forceinline__ float requantized(float x, Grid grid, float max_code) {
  return value_of(code_of(x, grid, max_code), grid);
}

// A warp a group of `size` neighbouring elements.
__global__ void quantize_groups_kernel(const float* x, Scheme scheme, std::int64_t groups, int size,
                                       float* out) {
  const std::int64_t group = static_cast<std::int64_t>(blockIdx.x) * kGroupWarps + threadIdx.y;
  if (group >= groups) return;
  x += group * size;
  out += group * size;
  const Grid grid = grid_of(scheme, range_of(size, [x](int i) { return x[i]; }));
  const float max_code = max_code_of(scheme.bits);
  for (int i = threadIdx.x; i < size; i += kWarp) out[i] = requantized(x[i], grid, max_code);
}

// A block a row: for groups that one warp would be long with.
__global__ void quantize_rows_kernel(const float* x, Scheme scheme, int size, float* out) {
  x += blockIdx.x * static_cast<std::int64_t>(size);
  out += blockIdx.x * static_cast<std::int64_t>(size);
  Interval range = {0, 0};
  for (int i = threadIdx.x; i < size; i += blockDim.x) {
    range = {fminf(range.low, x[i]), fmaxf(range.high, x[i])};
  }
  range.low = block_reduce(range.low, Least{}, 0.0f);
  range.high = block_reduce(range.high, Largest{}, 0.0f);
  const Grid grid = grid_of(scheme, range);
  const float max_code = max_code_of(scheme.bits);
  for (int i = threadIdx.x; i < size; i += blockDim.x) out[i] = requantized(x[i], grid, max_code);
}

__global__ void partial_range_kernel(const float* x, std::int64_t n, Interval* ranges) {
  Interval range = {0, 0};
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n;
       i += static_cast<std::int64_t>(gridDim.x) * blockDim.x) {
    range = {fminf(range.low, x[i]), fmaxf(range.high, x[i])};
  }
  range.low = block_reduce(range.low, Least{}, 0.0f);
  range.high = block_reduce(range.high, Largest{}, 0.0f);
  if (threadIdx.x == 0) ranges[blockIdx.x] = range;
}

// One block.
__global__ void tensor_grid_kernel(const Interval* ranges, int count, Scheme scheme, float* scale,
                                   float* zero) {
  Interval range = {0, 0};
  for (int i = threadIdx.x; i < count; i += blockDim.x) {
    range = {fminf(range.low, ranges[i].low), fmaxf(range.high, ranges[i].high)};
  }
  range.low = block_reduce(range.low, Least{}, 0.0f);
  range.high = block_reduce(range.high, Largest{}, 0.0f);
  const Grid grid = grid_of(scheme, range);
  if (threadIdx.x == 0) {
    *scale = grid.scale;
    *zero = grid.zero;
  }
}

// With `period` scales that repeat along the elements: one, or one for each channel.
void QuantizeWith(const Context& context, const FakeQuantizeParams& p, const float* scales,
                  const float* zeros, std::int64_t period) {
  const float* x = p.x.f32();
  float* out = p.out.f32();
  const float max_code = max_code_of(p.bits);
  ForEach(context, "fakeQuantize", p.x.shape.elements(), [=] __device__(std::int64_t i) {
    const std::int64_t at = period == 1 ? 0 : i % period;
    out[i] = requantized(x[i], {scales[at], zeros[at]}, max_code);
  });
}

void QuantizeTensor(const Context& context, const FakeQuantizeParams& p, const Scheme& scheme) {
  const std::int64_t n = p.x.shape.elements();
  const unsigned blocks = BlocksFor(context, n);
  const Scratch<Interval> ranges(context, blocks);
  const Scratch<float> grid(context, 2);
  partial_range_kernel<<<blocks, kThreads, 0, context.stream>>>(p.x.f32(), n, ranges.data());
  CheckLaunch("fakeQuantize");
  tensor_grid_kernel<<<1, kThreads, 0, context.stream>>>(ranges.data(), static_cast<int>(blocks),
                                                         scheme, grid.data(), grid.data() + 1);
  CheckLaunch("fakeQuantize");
  QuantizeWith(context, p, grid.data(), grid.data() + 1, 1);
}

void QuantizeGroups(const Context& context, const FakeQuantizeParams& p, const Scheme& scheme) {
  constexpr std::int64_t kLongGroup = 1024;
  const std::int64_t size = p.granularity == Granularity::kRow ? p.x.cols() : p.group_size;
  const std::int64_t groups = p.x.shape.elements() / size;
  if (size > kLongGroup) {
    quantize_rows_kernel<<<static_cast<unsigned>(groups), kThreads, 0, context.stream>>>(
        p.x.f32(), scheme, static_cast<int>(size), p.out.f32());
  } else {
    const auto blocks = static_cast<unsigned>(DivideUp(groups, kGroupWarps));
    quantize_groups_kernel<<<blocks, dim3(kWarp, kGroupWarps), 0, context.stream>>>(
        p.x.f32(), scheme, groups, static_cast<int>(size), p.out.f32());
  }
  CheckLaunch("fakeQuantize");
}

}  // namespace

void FakeQuantize(const Context& context, const FakeQuantizeParams& p) {
  if (p.x.shape.elements() == 0) return;
  Scheme scheme;
  scheme.bits = p.bits;
  scheme.symmetric = p.symmetric;
  if (!p.scales.empty()) {
    QuantizeWith(context, p, p.scales.f32(), p.zeros.f32(), p.scales.shape.elements());
  } else if (p.granularity == Granularity::kTensor) {
    QuantizeTensor(context, p, scheme);
  } else {
    QuantizeGroups(context, p, scheme);
  }
  if (!p.channel_sum.empty()) AddRows(context, p.out, p.channel_sum.f64());
}

}  // namespace ballast::cuda
