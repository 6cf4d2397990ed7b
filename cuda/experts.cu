// A warp a token. Scores are float64, as on the CPU, so that no choice hangs on the last digit of
// an exponential. Experts are chosen one after the other, each the first that comes behind the one
// before: nothing has to be marked or kept, and every round's reads are in the cache.
#include "cuda/check.h"
#include "cuda/grid_loop.cuh"
#include "cuda/index_check.h"
#include "cuda/numbers.cuh"
#include "cuda/operations.h"
#include "cuda/reduce.cuh"
#include "cuda/row_shape.cuh"

namespace ballast::cuda {
namespace {

constexpr int kWarpRows = 8;  // of a block

__device__ __forceinline__ double sigmoid(double x) { return 1 / (1 + exp(-x)); }

// exp(x − top) / sum is the softmax over what it was made of.
struct ExpertSoftmax {
  double top;
  double sum;
  __device__ __forceinline__ double of(double x) const { return exp(x - top) / sum; }
};

// Over x(0) … x(n − 1); every lane receives it.
template <class X>
__device__ __forceinline__ ExpertSoftmax softmax_over(int n, X x) {
  float largest = -INFINITY;
  for (int i = threadIdx.x; i < n; i += kWarp) largest = fmaxf(largest, x(i));
  const double top = warp_reduce(largest, Largest{});
  double sum = 0;
  for (int i = threadIdx.x; i < n; i += kWarp) sum += exp(x(i) - top);
  return {top, warp_reduce(sum, Sum{})};
}

struct Choice {
  double value;
  int column;
};

// A strict order of all columns, whatever their values: NaN last, of equal ones the lower first.
__device__ __forceinline__ bool comes_before(const Choice& a, const Choice& b) {
  if (a.value > b.value) return true;
  if (a.value < b.value) return false;
  const bool nan_a = a.value != a.value, nan_b = b.value != b.value;
  return nan_a == nan_b ? a.column < b.column : nan_b;
}

// The first `count` of the columns that are open, by value(i): every lane calls take(round,
// column). Behind all columns lies NaN at column `columns`.
template <class Open, class Value, class Take>
__device__ __forceinline__ void in_order(int columns, int count, Open open, Value value,
                                         Take take) {
  Choice last = {INFINITY, -1};
  for (int round = 0; round < count; ++round) {
    Choice best = {NAN, columns};
    for (int i = threadIdx.x; i < columns; i += kWarp) {
      if (!open(i)) continue;
      const Choice own = {value(i), i};
      if (comes_before(last, own) && comes_before(own, best)) best = own;
    }
#pragma unroll
    for (int offset = kWarp / 2; offset > 0; offset /= 2) {
      const Choice other = {__shfl_xor_sync(kAllLanes, best.value, offset),
                            __shfl_xor_sync(kAllLanes, best.column, offset)};
      if (comes_before(other, best)) best = other;
    }
    last = best;
    take(round, best.column);
  }
}

struct Groups {
  int count;
  int kept;
  int size;
  int best;  // how many of its best columns a group is worth
};

// What the group that begins at column `first` is worth: as on the CPU.
template <class Value>
__device__ __forceinline__ double worth(const Groups& groups, int first, Value value) {
  Choice largest = {NAN, groups.size}, next = largest;
  for (int i = 0; i < groups.size; ++i) {
    const Choice own = {value(first + i), i};
    if (comes_before(own, largest)) {
      next = largest;
      largest = own;
    } else if (comes_before(own, next)) {
      next = own;
    }
  }
  return groups.best == 1 ? largest.value : largest.value + next.value;
}

template <class Value>
__device__ __forceinline__ void choose(const Groups& groups, int count, std::int32_t* chosen,
                                       Value value) {
  static_assert(ChooseExpertsParams::kMostGroups <= 64);
  std::uint64_t kept = ~std::uint64_t{0};
  if (groups.kept < groups.count) {
    kept = 0;
    in_order(
        groups.count, groups.kept, [](int) { return true; },
        [=](int i) { return worth(groups, i * groups.size, value); },
        [&kept](int, int group) { kept |= std::uint64_t{1} << group; });
  }
  in_order(
      groups.count * groups.size, count,
      [=](int i) { return (kept >> (i / groups.size) & 1) != 0; }, value,
      [=](int round, int column) {
        if (threadIdx.x == 0) chosen[round] = column;
      });
}

__global__ void choose_experts_kernel(const float* logits, const float* bias, std::int64_t rows,
                                      Groups groups, int count, Scoring scoring,
                                      std::int32_t* chosen) {
  const std::int64_t row = own_row();
  if (row >= rows) return;
  const int experts = groups.count * groups.size;
  logits += row * experts;
  chosen += row * count;
  if (bias == nullptr) {
    return choose(groups, count, chosen, [=](int i) -> double { return logits[i]; });
  }
  if (scoring == Scoring::kSigmoid) {
    return choose(groups, count, chosen, [=](int i) { return sigmoid(logits[i]) + bias[i]; });
  }
  const ExpertSoftmax softmax = softmax_over(experts, [=](int i) { return logits[i]; });
  choose(groups, count, chosen, [=](int i) { return softmax.of(logits[i]) + bias[i]; });
}

__global__ void expert_weights_kernel(const float* logits, const std::int32_t* chosen,
                                      std::int64_t rows, int experts, int count, Scoring scoring,
                                      bool normalized, double scale, float* out) {
  const std::int64_t row = own_row();
  if (row >= rows) return;
  logits += row * experts;
  chosen += row * count;
  out += row * count;
  const auto logit_of = [=](int j) { return logits[chosen[j]]; };
  if (scoring == Scoring::kSigmoid) {
    double sum = 0;
    for (int j = threadIdx.x; j < count; j += kWarp) sum += sigmoid(logit_of(j));
    sum = normalized ? warp_reduce(sum, Sum{}) + ExpertWeightsParams::kLeastSum : 1.0;
    for (int j = threadIdx.x; j < count; j += kWarp) {
      out[j] = static_cast<float>(scale * (sigmoid(logit_of(j)) / sum));
    }
    return;
  }
  const ExpertSoftmax softmax = normalized
                                    ? softmax_over(count, logit_of)
                                    : softmax_over(experts, [=](int i) { return logits[i]; });
  for (int j = threadIdx.x; j < count; j += kWarp) {
    out[j] = static_cast<float>(scale * softmax.of(logit_of(j)));
  }
}

template <int kWidth>
void AddRowsOf(const Context& context, const AddExpertParams& p) {
  const std::int64_t words = p.sum.cols() / kWidth, count = p.weights.cols();
  const std::int32_t* slots = p.slots.i32();
  const float *weights = p.weights.f32(), *y = p.y.f32();
  float* sum = p.sum.f32();
  ForEach(context, "addExpert", p.y.rows() * words, [=] __device__(std::int64_t i) {
    const std::int32_t slot = slots[i / words];
    const std::int64_t to = slot / count * words + i % words;
    const float weight = weights[slot];
    const auto added = load_floats<kWidth>(y, i);
    auto word = load_floats<kWidth>(sum, to);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) word.of[j] += weight * added.of[j];
    store_floats(sum, to, word);
  });
}

// Comparisons that keep a NaN.
template <class Out>
void ClampTo(const Context& context, const ClampedSwigluParams& p) {
  const float* x = p.x.f32();
  const auto slope = static_cast<float>(p.slope), limit = static_cast<float>(p.limit);
  Out* out = p.out.as<Out>();
  ForEach(context, "clampedSwiglu", p.out.shape.elements(), [=] __device__(std::int64_t i) {
    const float gate = x[2 * i] > limit ? limit : x[2 * i];
    const float above = x[2 * i + 1] < -limit ? -limit : x[2 * i + 1];
    const float up = above > limit ? limit : above;
    out[i] = convert<Out>((up + 1.0f) * (gate / (expf(gate * -slope) + 1.0f)));
  });
}

}  // namespace

void ChooseExperts(const Context& context, const ChooseExpertsParams& p) {
  const std::int64_t rows = p.logits.rows();
  if (rows == 0) return;
  const auto blocks = static_cast<unsigned>(DivideUp(rows, kWarpRows));
  const Groups groups = {.count = static_cast<int>(p.groups),
                         .kept = static_cast<int>(p.kept_groups),
                         .size = static_cast<int>(p.logits.cols() / p.groups),
                         .best = static_cast<int>(p.best_of_group)};
  choose_experts_kernel<<<blocks, dim3(kWarp, kWarpRows), 0, context.stream>>>(
      p.logits.f32(), p.bias.f32(), rows, groups, static_cast<int>(p.chosen.cols()), p.scoring,
      p.chosen.i32());
  CheckLaunch("chooseExperts");
}

void ExpertWeights(const Context& context, const ExpertWeightsParams& p) {
  const std::int64_t rows = p.logits.rows();
  if (rows == 0) return;
  CheckIndex(context, "chosen experts", p.chosen, p.logits.cols());
  const auto blocks = static_cast<unsigned>(DivideUp(rows, kWarpRows));
  expert_weights_kernel<<<blocks, dim3(kWarp, kWarpRows), 0, context.stream>>>(
      p.logits.f32(), p.chosen.i32(), rows, static_cast<int>(p.logits.cols()),
      static_cast<int>(p.chosen.cols()), p.scoring, p.normalized, p.scale, p.out.f32());
  CheckLaunch("expertWeights");
}

void ClampedSwiglu(const Context& context, const ClampedSwigluParams& p) {
  WithOperandType(p.out.dtype,
                  [&](auto type) { ClampTo<typename decltype(type)::type>(context, p); });
}

void AddExpert(const Context& context, const AddExpertParams& p) {
  CheckIndex(context, "slots", p.slots, p.weights.shape.elements());
  if (p.sum.cols() % kWide == 0 && AreAligned(p.sum.f32(), p.y.f32())) {
    AddRowsOf<kWide>(context, p);
  } else {
    AddRowsOf<1>(context, p);
  }
}

}  // namespace ballast::cuda
