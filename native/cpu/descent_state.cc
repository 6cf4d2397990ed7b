#include "native/cpu/descent_state.h"

#include <cmath>
#include <numeric>

#include "native/cpu/conversion.h"
#include "native/cpu/trace.h"

namespace ballast::cpu {

DescentState::DescentState(const Context& context, const DescendParams& params)
    : context(context),
      params(params),
      lanes(context.kernels.linear.lanes),
      rows(params.weight.rows()),
      padded(RoundUp(rows, lanes)),
      columns(params.weight.cols()),
      groups(params.scales.cols()),
      group_size(columns / groups),
      codes(columns * padded, context.blocks),
      delta(columns * padded, context.blocks),
      scales(groups * padded),
      zeros(groups * padded),
      has_steps(!params.scale_steps.empty()),
      scale_steps(has_steps ? groups * padded : 0),
      offset_steps(has_steps ? groups * padded : 0),
      offsets(has_steps ? groups * padded : 0),
      matrix(params.matrix.f32()),
      column_order_(columns),
      group_order_(groups),
      own_matrix_(params.greedy || params.damping > 0 ? columns * columns : 0, context.blocks) {
  std::iota(column_order_.begin(), column_order_.end(), 0);
  std::iota(group_order_.begin(), group_order_.end(), 0);
  if (params.greedy) ChooseOrder();
  if (params.greedy || params.damping > 0) MakeMatrix();
  ForStretches([&](std::int64_t first, std::int64_t count) { Load(first, count); });
}

// Columns by decreasing M_jj Σ_o w_oj², what they would cost if they were left out; groups stay
// together and come by what they cost together.
void DescentState::ChooseOrder() {
  std::vector<double> costs(columns), group_costs(groups);
  Scratch<float> row(columns);
  for (std::int64_t o = 0; o < rows; ++o) {
    ReadFloats(context.kernels, params.weight, o * columns, columns, row.data());
    for (std::int64_t j = 0; j < columns; ++j) costs[j] += static_cast<double>(row[j]) * row[j];
  }
  for (std::int64_t j = 0; j < columns; ++j) {
    costs[j] *= matrix[j * (columns + 1)];
    group_costs[j / group_size] += costs[j];
  }
  const auto by = [](const std::vector<double>& cost) {
    return [&cost](std::int64_t a, std::int64_t b) { return cost[a] > cost[b]; };
  };
  std::stable_sort(group_order_.begin(), group_order_.end(), by(group_costs));
  for (std::int64_t g = 0; g < groups; ++g) {
    const auto begin = column_order_.begin() + g * group_size;
    std::iota(begin, begin + group_size, group_order_[g] * group_size);
    std::stable_sort(begin, begin + group_size, by(costs));
  }
}

void DescentState::MakeMatrix() {
  const float added = static_cast<float>(params.damping * Trace(matrix, columns) / columns);
  const float* const source = matrix;
  context.pool.ParallelFor(
      columns, 16,
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const float* from = source + column_order_[i] * columns;
          float* to = own_matrix_.data() + i * columns;
          for (std::int64_t j = 0; j < columns; ++j) to[j] = from[column_order_[j]];
          to[i] += added;
        }
      },
      context.cancel);
  matrix = own_matrix_.data();
}

void DescentState::Load(std::int64_t first, std::int64_t count) {
  const std::int64_t present = std::min(count, rows - first);
  Scratch<float> weights(present * columns);
  ReadFloats(context.kernels, params.weight, first * columns, present * columns, weights.data());
  const std::uint8_t* from_codes = params.codes.u8() + first * columns;
  for (std::int64_t j = 0; j < columns; ++j) {
    const std::int64_t column = column_order_[j];
    float* to = delta.data() + j * padded + first;
    std::uint8_t* to_codes = codes.data() + j * padded + first;
    for (std::int64_t i = 0; i < present; ++i) {
      to[i] = weights[i * columns + column];
      to_codes[i] = from_codes[i * columns + column];
    }
    std::fill(to + present, to + count, 0.0f);
    std::fill(to_codes + present, to_codes + count, 0);
  }
  for (std::int64_t g = 0; g < groups; ++g) {
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t from = (first + i) * groups + group_order_[g];
      scales[g * padded + first + i] = i < present ? params.scales.f32()[from] : 1.0f;
      zeros[g * padded + first + i] = i < present ? params.zeros.f32()[from] : 0.0f;
    }
    if (has_steps) LoadSteps(g, first, present);
  }
}

void DescentState::LoadSteps(std::int64_t group, std::int64_t first, std::int64_t present) {
  const std::int64_t supers = params.scale_steps.cols();
  const std::int64_t super = group_order_[group] * supers / groups;
  for (std::int64_t row = first; row < first + present; ++row) {
    const std::int64_t at = group * padded + row;
    const float step = params.offset_steps.f32()[row * supers + super];
    const float offset = scales[at] * zeros[at];
    scale_steps[at] = params.scale_steps.f32()[row * supers + super];
    offset_steps[at] = step;
    offsets[at] = step > 0 ? step * std::nearbyint(offset / step) : offset;
  }
  const std::int64_t end = group * padded + RoundUp(first + present, lanes);
  for (std::int64_t at = group * padded + first + present; at < end; ++at) {
    scale_steps[at] = offset_steps[at] = offsets[at] = 0;
  }
}

void DescentState::Save() {
  ForStretches([&](std::int64_t first, std::int64_t count) {
    const std::int64_t end = std::min(first + count, rows);
    for (std::int64_t j = 0; j < columns; ++j) {
      for (std::int64_t o = first; o < end; ++o) {
        params.codes.u8()[o * columns + column_order_[j]] = codes[j * padded + o];
      }
    }
    for (std::int64_t o = first; o < end; ++o) {
      for (std::int64_t g = 0; g < groups; ++g) {
        const std::int64_t to = o * groups + group_order_[g];
        params.scales.f32()[to] = scales[g * padded + o];
        if (has_steps) params.zeros.f32()[to] = zeros[g * padded + o];
      }
    }
  });
}

}  // namespace ballast::cpu
