// Sequences and heads in parallel; the product of one of them is the common product on the thread
// that has it. Rows of scores are summed in float64.
#include "native/cpu/explicit_attention.h"

#include <algorithm>

#include "native/cpu/gemm.h"
#include "native/cpu/rows.h"

namespace ballast::cpu {
namespace {

// The operands of one (sequence, head), as views into the rows of all.
Product ProductOf(const HeadProductParams& p, std::int64_t item) {
  const std::int64_t sequence = p.sequence;
  const std::int64_t batch = item / p.heads;
  const std::int64_t head = item % p.heads;
  const std::int64_t group = p.heads / p.key_value_heads;
  const std::int64_t size = p.y.cols() / p.key_value_heads;
  const auto tokens = [&](const View& view, std::int64_t which) {
    return view.f32() + batch * sequence * view.cols() + which * size;
  };
  const auto scores = [&](const View& view) { return view.f32() + item * sequence * sequence; };
  const float* y = tokens(p.y, head / group);
  if (p.kind == HeadProductKind::kScores) {
    return {.a = {.data = tokens(p.x, head), .stride = p.x.cols()},
            .b = {.data = y, .stride = p.y.cols()},
            .rows = sequence,
            .columns = sequence,
            .depth = size,
            .out = scores(p.out),
            .stride = sequence};
  }
  return {.a = {.data = scores(p.x),
                .stride = sequence,
                .depth_contiguous = p.kind == HeadProductKind::kMix},
          .b = {.data = y, .stride = p.y.cols(), .depth_contiguous = false},
          .rows = sequence,
          .columns = size,
          .depth = sequence,
          .out = tokens(p.out, head),
          .stride = p.out.cols()};
}

// Elements of a task; an exponential each costs more than arithmetic.
constexpr std::int64_t kTaskElements = 16384;

}  // namespace

void HeadProduct(const Context& context, const HeadProductParams& p) {
  const GemmKernels& kernels = NarrowGemmFor(context, p.precision);
  const auto factor = static_cast<float>(p.scale);
  context.pool.ParallelFor(
      p.y.rows() / p.sequence * p.heads, 1,
      [&](std::int64_t begin, std::int64_t end) {
        ThreadPool own(1);
        const Context alone{.pool = own,
                            .kernels = context.kernels,
                            .float32_products = context.float32_products,
                            .cancel = context.cancel};
        for (std::int64_t item = begin; item < end; ++item) {
          const Product product = ProductOf(p, item);
          const Finish finish = [&](const Finished& stretch) {
            for (std::int64_t i = 0; i < stretch.rows; ++i) {
              float* out = stretch.sums + i * stretch.stride;
              for (std::int64_t j = 0; j < stretch.columns; ++j) out[j] *= factor;
            }
          };
          Multiply(alone, kernels, product, factor == 1.0f ? nullptr : finish);
        }
      },
      context.cancel);
}

void Softmax(const Context& context, const SoftmaxParams& p) {
  const std::int64_t sequence = p.scores.cols();
  const auto cap = static_cast<float>(p.softcap);
  const RowKernels& kernels = context.kernels.row;
  const std::int64_t grain = RowsOfTask(sequence, kTaskElements);
  MakeRows(context, p.out, grain, [&](std::int64_t row, float* out) {
    const float* in = p.scores.f32() + row * sequence;
    const std::int64_t query = row % sequence;
    const std::int64_t head = row / sequence % p.heads;
    const float slope = p.alibi_slopes.empty() ? 0.0f : p.alibi_slopes.f32()[head];
    const float* bias = p.bias.empty() ? nullptr : p.bias.f32() + row % p.bias.rows() * sequence;
    const std::int64_t begin = p.window > 0 ? std::max<std::int64_t>(query - p.window + 1, 0) : 0;
    const std::int64_t end = p.causal ? query + 1 : sequence;
    const std::int64_t seen = end - begin;
    const float* scores = in;
    if (cap > 0) {
      kernels.softcap(scores + begin, cap, seen, out + begin);
      scores = out;
    }
    if (slope != 0) {
      for (std::int64_t j = begin; j < end; ++j) {
        out[j] = scores[j] + slope * static_cast<float>(j - query);
      }
      scores = out;
    }
    if (bias != nullptr) {
      kernels.add(scores + begin, bias + begin, seen, out + begin);
      scores = out;
    }
    kernels.softmax(scores + begin, seen, p.sinks.empty() ? nullptr : p.sinks.f32() + head,
                    out + begin);
    std::fill(out, out + begin, 0.0f);
    std::fill(out + end, out + sequence, 0.0f);
  });
}

void SoftmaxGradient(const Context& context, const SoftmaxGradientParams& p) {
  const std::int64_t n = p.probabilities.cols();
  ForEachRow(context, p.probabilities.rows(), RowsOfTask(n, kTaskElements), [&](std::int64_t row) {
    const float* probability = p.probabilities.f32() + row * n;
    const float* gradient = p.gradient.f32() + row * n;
    float* out = p.out.f32() + row * n;
    double sum = 0;
    for (std::int64_t j = 0; j < n; ++j) sum += static_cast<double>(probability[j]) * gradient[j];
    const auto mean = static_cast<float>(sum);
    for (std::int64_t j = 0; j < n; ++j) out[j] = probability[j] * (gradient[j] - mean);
  });
}

}  // namespace ballast::cpu
