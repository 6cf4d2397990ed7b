// The steps of attention: head_product_kernel.cuh multiplies, and a warp takes a row of scores.
// The row is read again from the cache for each pass and its exponentials are formed twice, so that
// each element is written once and the output may be the input. Rows are summed in float64.
#include <utility>

#include "cuda/check.h"
#include "cuda/head_product_kernel.cuh"
#include "cuda/operations.h"
#include "cuda/reduce.cuh"

namespace ballast::cuda {
namespace {

constexpr int kRowWarps = 8;

struct SoftmaxArguments {
  const float* scores;
  const float* slopes;  // or null
  const float* bias;    // or null
  const float* sinks;   // or null
  float* out;
  std::int64_t bias_rows;
  std::int64_t rows;
  int sequence;
  int heads;
  int window;     // 0: none
  float softcap;  // 0: none
  bool causal;
};

__global__ void softmax_kernel(const SoftmaxArguments p) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRowWarps + threadIdx.y;
  if (row >= p.rows) return;
  const int lane = threadIdx.x;
  const auto query = static_cast<int>(row % p.sequence);
  const float* scores = p.scores + row * p.sequence;
  const float* bias = p.bias == nullptr ? nullptr : p.bias + row % p.bias_rows * p.sequence;
  const std::int64_t head = row / p.sequence % p.heads;
  const float slope = p.slopes == nullptr ? 0.0f : p.slopes[head];
  const float sink = p.sinks == nullptr ? -INFINITY : p.sinks[head];
  const auto score = [=](int key) {
    float value = scores[key];
    if (p.softcap > 0) value = tanhf(value / p.softcap) * p.softcap;
    value += slope * static_cast<float>(key - query);
    return bias == nullptr ? value : value + bias[key];
  };
  const int begin = p.window > 0 ? max(query - p.window + 1, 0) : 0;
  const int end = p.causal ? query + 1 : p.sequence;

  float largest = -INFINITY;
  for (int key = begin + lane; key < end; key += kWarp) largest = fmaxf(largest, score(key));
  const float top = fmaxf(warp_reduce(largest, Largest{}), sink);
  double sum = lane == 0 && p.sinks != nullptr ? expf(sink - top) : 0.0f;
  for (int key = begin + lane; key < end; key += kWarp) sum += expf(score(key) - top);
  const auto factor = static_cast<float>(1 / warp_reduce(sum, Sum{}));
  float* out = p.out + row * p.sequence;
  for (int key = lane; key < p.sequence; key += kWarp) {
    out[key] = key < begin || key >= end ? 0.0f : expf(score(key) - top) * factor;
  }
}

__global__ void softmax_gradient_kernel(const float* probabilities, const float* gradient,
                                        std::int64_t rows, int n, float* out) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRowWarps + threadIdx.y;
  if (row >= rows) return;
  probabilities += row * n;
  gradient += row * n;
  out += row * n;
  double sum = 0;
  for (int j = threadIdx.x; j < n; j += kWarp) {
    sum += static_cast<double>(probabilities[j]) * gradient[j];
  }
  const auto mean = static_cast<float>(warp_reduce(sum, Sum{}));
  for (int j = threadIdx.x; j < n; j += kWarp) out[j] = probabilities[j] * (gradient[j] - mean);
}

HeadStrides Transposed(HeadStrides strides) {
  std::swap(strides.row, strides.column);
  return strides;
}

}  // namespace

void HeadProduct(const Context& context, const HeadProductParams& p) {
  if (p.out.shape.elements() == 0) return;
  const std::int64_t length = p.sequence, size = p.y.cols() / p.key_value_heads;
  const HeadStrides scores = {p.heads * length * length, length * length, length, 1};
  const auto tokens = [&](const View& view) {
    return HeadStrides{length * view.cols(), size, view.cols(), 1};
  };
  const bool makes_scores = p.kind == HeadProductKind::kScores;
  const bool spreads = p.kind == HeadProductKind::kSpread;
  HeadProductArguments arguments = {
      .a = p.x.f32(),
      .b = p.y.f32(),
      .out = p.out.f32(),
      .a_strides = makes_scores ? tokens(p.x) : (spreads ? Transposed(scores) : scores),
      .b_strides = makes_scores ? Transposed(tokens(p.y)) : tokens(p.y),
      .out_strides = makes_scores ? scores : tokens(p.out),
      .rows = static_cast<int>(length),
      .columns = static_cast<int>(makes_scores ? length : size),
      .depth = static_cast<int>(makes_scores ? size : length),
      .row_tiles = static_cast<int>(DivideUp(length, kHeadTile)),
      .column_tiles = static_cast<int>(DivideUp(makes_scores ? length : size, kHeadTile)),
      .heads = static_cast<int>(p.heads),
      .sharing = static_cast<int>(p.heads / p.key_value_heads),
      .scale = static_cast<float>(p.scale)};
  const std::int64_t matrices = p.y.rows() / length * p.heads;
  const auto blocks =
      static_cast<unsigned>(matrices * arguments.row_tiles * arguments.column_tiles);
  if (p.precision == Precision::kBFloat16) {
    head_product_kernel<true><<<blocks, kHeadThreads, 0, context.stream>>>(arguments);
  } else {
    head_product_kernel<false><<<blocks, kHeadThreads, 0, context.stream>>>(arguments);
  }
  CheckLaunch("headProduct");
}

void Softmax(const Context& context, const SoftmaxParams& p) {
  const std::int64_t rows = p.scores.rows(), sequence = p.scores.cols();
  if (rows == 0) return;
  const SoftmaxArguments arguments = {
      .scores = p.scores.f32(),
      .slopes = p.alibi_slopes.f32(),
      .bias = p.bias.f32(),
      .sinks = p.sinks.f32(),
      .out = p.out.f32(),
      .bias_rows = p.bias.empty() ? 0 : p.bias.rows(),
      .rows = rows,
      .sequence = static_cast<int>(sequence),
      .heads = static_cast<int>(p.heads),
      // A window longer than the sequence hides nothing.
      .window = static_cast<int>(p.window < sequence ? p.window : 0),
      .softcap = static_cast<float>(p.softcap),
      .causal = p.causal};
  const auto blocks = static_cast<unsigned>(DivideUp(rows, kRowWarps));
  softmax_kernel<<<blocks, dim3(kWarp, kRowWarps), 0, context.stream>>>(arguments);
  CheckLaunch("softmax");
}

void SoftmaxGradient(const Context& context, const SoftmaxGradientParams& p) {
  const std::int64_t rows = p.probabilities.rows(), n = p.probabilities.cols();
  if (rows == 0 || n == 0) return;
  const auto blocks = static_cast<unsigned>(DivideUp(rows, kRowWarps));
  softmax_gradient_kernel<<<blocks, dim3(kWarp, kRowWarps), 0, context.stream>>>(
      p.probabilities.f32(), p.gradient.f32(), rows, static_cast<int>(n), p.out.f32());
  CheckLaunch("softmaxGradient");
}

}  // namespace ballast::cuda
