// Tokens in parallel. Scores are float64 throughout: routers are tiny next to the experts, and a
// choice that hangs on the last digit of an exponential would differ between backends.
#include "native/cpu/experts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "native/cpu/index_check.h"
#include "native/cpu/rows.h"
#include "native/cpu/scratch.h"

namespace ballast::cpu {
namespace {

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// exp(x − top) / sum is the softmax over what it was made of.
struct Softmax {
  double top = -std::numeric_limits<double>::infinity();
  double sum = 0;
  double Of(double x) const { return std::exp(x - top) / sum; }
};

// Over x(0) … x(n − 1).
template <class X>
Softmax SoftmaxOver(std::int64_t n, X x) {
  Softmax softmax;
  for (std::int64_t i = 0; i < n; ++i) softmax.top = std::max(softmax.top, x(i));
  for (std::int64_t i = 0; i < n; ++i) softmax.sum += std::exp(x(i) - softmax.top);
  return softmax;
}

void ChoiceValues(const ChooseExpertsParams& p, const float* logits, double* values) {
  const std::int64_t experts = p.logits.cols();
  std::copy(logits, logits + experts, values);
  if (p.bias.empty()) return;
  const bool sigmoid = p.scoring == Scoring::kSigmoid;
  const Softmax softmax =
      sigmoid ? Softmax{} : SoftmaxOver(experts, [&](std::int64_t i) { return values[i]; });
  for (std::int64_t i = 0; i < experts; ++i) {
    values[i] = (sigmoid ? Sigmoid(values[i]) : softmax.Of(values[i])) + p.bias.f32()[i];
  }
}

// A strict order of all columns, whatever their values.
bool ComesBefore(const double* values, std::int32_t a, std::int32_t b) {
  if (values[a] > values[b]) return true;
  if (values[a] < values[b]) return false;
  const bool nan_a = std::isnan(values[a]), nan_b = std::isnan(values[b]);
  return nan_a == nan_b ? a < b : nan_b;
}

bool Exceeds(double a, double b) { return a > b || (std::isnan(b) && !std::isnan(a)); }

// What a group of so many choice values is worth.
double GroupValue(const double* values, std::int64_t size, std::int64_t best) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  double first = kNone, second = kNone;
  for (std::int64_t i = 0; i < size; ++i) {
    if (Exceeds(values[i], first)) {
      second = first;
      first = values[i];
    } else if (Exceeds(values[i], second)) {
      second = values[i];
    }
  }
  return best == 1 ? first : first + second;
}

// The first `count` of n columns to the front, in their order.
void BringFirst(std::int32_t* columns, std::int64_t n, std::int64_t count, const double* values) {
  std::partial_sort(columns, columns + count, columns + n,
                    [values](std::int32_t a, std::int32_t b) { return ComesBefore(values, a, b); });
}

// Writes the columns that count and returns how many they are.
std::int64_t OpenColumns(const ChooseExpertsParams& p, const double* values,
                         std::int32_t* columns) {
  const std::int64_t experts = p.logits.cols(), size = experts / p.groups;
  std::array<double, ChooseExpertsParams::kMostGroups> worth;
  std::array<std::int32_t, ChooseExpertsParams::kMostGroups> groups;
  for (std::int64_t i = 0; i < p.groups && p.kept_groups < p.groups; ++i) {
    worth[i] = GroupValue(values + i * size, size, p.best_of_group);
  }
  std::iota(groups.begin(), groups.begin() + p.groups, 0);
  if (p.kept_groups < p.groups) BringFirst(groups.data(), p.groups, p.kept_groups, worth.data());
  for (std::int64_t i = 0; i < p.kept_groups; ++i) {
    std::int32_t* const own = columns + i * size;
    std::iota(own, own + size, static_cast<std::int32_t>(groups[i] * size));
  }
  return p.kept_groups * size;
}

void WeighRow(const ExpertWeightsParams& p, std::int64_t row) {
  const std::int64_t experts = p.logits.cols(), count = p.chosen.cols();
  const float* logits = p.logits.f32() + row * experts;
  const std::int32_t* chosen = p.chosen.i32() + row * count;
  float* out = p.out.f32() + row * count;
  const auto logit_of = [&](std::int64_t j) -> double { return logits[chosen[j]]; };
  if (p.scoring == Scoring::kSigmoid) {
    double sum = p.normalized ? ExpertWeightsParams::kLeastSum : 1;
    for (std::int64_t j = 0; p.normalized && j < count; ++j) sum += Sigmoid(logit_of(j));
    for (std::int64_t j = 0; j < count; ++j) {
      out[j] = static_cast<float>(p.scale * (Sigmoid(logit_of(j)) / sum));
    }
    return;
  }
  const Softmax softmax =
      p.normalized ? SoftmaxOver(count, logit_of)
                   : SoftmaxOver(experts, [&](std::int64_t i) -> double { return logits[i]; });
  for (std::int64_t j = 0; j < count; ++j) {
    out[j] = static_cast<float>(p.scale * softmax.Of(logit_of(j)));
  }
}

}  // namespace

void ChooseExperts(const Context& context, const ChooseExpertsParams& p) {
  const std::int64_t experts = p.logits.cols(), count = p.chosen.cols();
  context.pool.ParallelFor(
      p.logits.rows(), RowsOfTask(experts, 4096),
      [&](std::int64_t begin, std::int64_t end) {
        Scratch<double> values(experts);
        Scratch<std::int32_t> columns(experts);
        std::int32_t* const all = columns.data();
        for (std::int64_t row = begin; row < end; ++row) {
          ChoiceValues(p, p.logits.f32() + row * experts, values.data());
          BringFirst(all, OpenColumns(p, values.data(), all), count, values.data());
          std::copy(all, all + count, p.chosen.i32() + row * count);
        }
      },
      context.cancel);
}

void ExpertWeights(const Context& context, const ExpertWeightsParams& p) {
  CheckIndex("chosen experts", p.chosen, p.logits.cols());
  ForEachRow(context, p.logits.rows(), RowsOfTask(p.logits.cols(), 4096),
             [&](std::int64_t row) { WeighRow(p, row); });
}

void ClampedSwiglu(const Context& context, const ClampedSwigluParams& p) {
  const std::int64_t channels = p.out.cols();
  const auto slope = static_cast<float>(p.slope);
  const auto limit = static_cast<float>(p.limit);
  MakeRows(context, p.out, RowsOfTask(2 * channels), [&](std::int64_t row, float* out) {
    context.kernels.row.clamped_swiglu(p.x.f32() + row * 2 * channels, slope, limit, channels, out);
  });
}

void AddExpert(const Context& context, const AddExpertParams& p) {
  const std::int64_t channels = p.sum.cols(), count = p.weights.cols();
  CheckIndex("slots", p.slots, p.weights.shape.elements());
  ForEachRow(context, p.y.rows(), RowsOfTask(channels), [&](std::int64_t i) {
    const std::int32_t slot = p.slots.i32()[i];
    const float weight = p.weights.f32()[slot];
    const float* y = p.y.f32() + i * channels;
    float* sum = p.sum.f32() + slot / count * channels;
    for (std::int64_t c = 0; c < channels; ++c) sum[c] += weight * y[c];
  });
}

}  // namespace ballast::cpu
