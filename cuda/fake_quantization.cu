// Quantization of activations and back. Dynamic grids of rows and groups: a warp or a block finds
// the range and quantizes at once, while the numbers are in the cache. Per tensor: the range of all
// blocks first, which does not depend on any order.
#include "cuda/grid.cuh"
#include "cuda/map.cuh"
#include "cuda/memory.h"
#include "cuda/operations.h"
#include "cuda/reductions.h"
#include "cuda/row_shape.cuh"

namespace ballast::cuda {
namespace {

__device__ __forceinline__ float requantized(float x, Grid grid, float max_code) {
  return value_of(code_of(x, grid, max_code), grid);
}

// Joined to what the thread has seen; NaN is passed over.
__device__ __forceinline__ void widen(Interval& range, float x) {
  range = {fminf(range.low, x), fmaxf(range.high, x)};
}

// A row, or a group as one.
template <class Shape>
__global__ void quantize_rows_kernel(const float* x, Scheme scheme, std::int64_t rows, int size,
                                     float* out) {
  const std::int64_t row = own_row();
  if (row >= rows) return;
  x += row * size;
  out += row * size;
  Interval range = {0, 0};
  for_own<Shape>(x, size, [&](int, float value) { widen(range, value); });
  range.low = row_reduce<Shape>(range.low, Least{}, 0.0f);
  range.high = row_reduce<Shape>(range.high, Largest{}, 0.0f);
  const Grid grid = grid_of(scheme, range);
  const float max_code = max_code_of(scheme.bits);
  for (int i = threadIdx.x; i < size / Shape::kWidth; i += blockDim.x) {
    auto word = load_floats<Shape::kWidth>(x, i);
#pragma unroll
    for (float& value : word.of) value = requantized(value, grid, max_code);
    store_floats(out, i, word);
  }
}

template <int kWidth>
__global__ void partial_range_kernel(const float* x, std::int64_t n, Interval* ranges) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const std::int64_t words = n / kWidth, rest = words * kWidth + first;
  Interval range = {0, 0};
  for_words<kWidth>(x, words, first, stride, [&](int, float value) { widen(range, value); });
  if (rest < n) widen(range, x[rest]);
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

struct Requantize {
  float max_code;
  __device__ float operator()(float x, float scale, float zero) const {
    return requantized(x, {scale, zero}, max_code);
  }
};

// With scales and zeros that repeat along the elements: one, or one for each channel.
void QuantizeWith(const Context& context, const FakeQuantizeParams& p, const float* scales,
                  const float* zeros, std::int64_t period) {
  const auto map = [&](auto scale, auto zero) {
    Map(context, "fakeQuantize", p.x.shape.elements(), p.out.f32(), Requantize{max_code_of(p.bits)},
        Whole{p.x.f32()}, scale, zero);
  };
  if (period == 1) return map(Single{scales}, Single{zeros});
  map(Repeated{scales, period}, Repeated{zeros, period});
}

void QuantizeTensor(const Context& context, const FakeQuantizeParams& p, const Scheme& scheme) {
  const std::int64_t n = p.x.shape.elements();
  const unsigned blocks = BlocksFor(context, DivideUp(n, kWide));
  const Scratch<Interval> ranges(context, blocks);
  const Scratch<float> grid(context, 2);
  const float* x = p.x.f32();
  if (AreAligned(x)) {
    partial_range_kernel<kWide><<<blocks, kThreads, 0, context.stream>>>(x, n, ranges.data());
  } else {
    partial_range_kernel<1><<<blocks, kThreads, 0, context.stream>>>(x, n, ranges.data());
  }
  CheckLaunch("fakeQuantize");
  tensor_grid_kernel<<<1, kThreads, 0, context.stream>>>(ranges.data(), static_cast<int>(blocks),
                                                         scheme, grid.data(), grid.data() + 1);
  CheckLaunch("fakeQuantize");
  QuantizeWith(context, p, grid.data(), grid.data() + 1, 1);
}

void QuantizeGroups(const Context& context, const FakeQuantizeParams& p, const Scheme& scheme) {
  const std::int64_t size = p.granularity == Granularity::kRow ? p.x.cols() : p.group_size;
  const std::int64_t groups = p.x.shape.elements() / size;
  const float* x = p.x.f32();
  float* out = p.out.f32();
  WithRowShape(groups, size, size % kWide == 0 && AreAligned(x, out),
               [&](auto shape, unsigned blocks, dim3 threads) {
                 using Shape = decltype(shape);
                 quantize_rows_kernel<Shape><<<blocks, threads, 0, context.stream>>>(
                     x, scheme, groups, static_cast<int>(size), out);
                 CheckLaunch("fakeQuantize");
               });
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
