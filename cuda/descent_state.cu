// Moves and sums over whole tensors, one thread an element. The greedy order is sorted on the host,
// from float64 costs that are summed as on the CPU: both visit the columns alike.
#include <algorithm>
#include <numeric>
#include <vector>

#include "cuda/descent_state.h"
#include "cuda/gemm.h"
#include "cuda/grid_loop.cuh"
#include "cuda/numbers.cuh"
#include "cuda/trace.h"

namespace ballast::cuda {
namespace {

constexpr const char* kName = "descend";

// W in float32; without an order the columns stay where they are.
template <class T>
void LoadWeights(const DescentState& state, const std::int32_t* order, float* out) {
  const T* weight = state.params.weight.as<T>();
  const std::int64_t columns = state.columns;
  ForEach(state.context, kName, state.rows * columns, [=] __device__(std::int64_t i) {
    const std::int64_t j = i % columns;
    out[i] = convert<float>(weight[order == nullptr ? i : i - j + order[j]]);
  });
}

// What the columns would cost if they were left out: M_jj Σ_o w_oj².
template <class T>
void ColumnCosts(const DescentState& state, double* costs) {
  const T* weight = state.params.weight.as<T>();
  const float* matrix = state.params.matrix.f32();
  const std::int64_t rows = state.rows, columns = state.columns;
  ForEach(state.context, kName, columns, [=] __device__(std::int64_t j) {
    double sum = 0;
    for (std::int64_t o = 0; o < rows; ++o) {
      const double w = convert<float>(weight[o * columns + j]);
      sum += w * w;
    }
    costs[j] = sum * matrix[j * (columns + 1)];
  });
}

// Columns by decreasing cost; groups stay together and come by what they cost together.
std::vector<std::int32_t> GreedyOrder(const DescentState& state) {
  const std::int64_t columns = state.columns, size = state.group_size;
  std::vector<double> costs(columns), group_costs(state.groups);
  const Scratch<double> device_costs(state.context, columns);
  WithWeightType(state.params.weight.dtype, [&](auto type) {
    ColumnCosts<typename decltype(type)::type>(state, device_costs.data());
  });
  Check(cudaMemcpyAsync(costs.data(), device_costs.data(), columns * sizeof(double),
                        cudaMemcpyDeviceToHost, state.context.stream),
        "ordering columns");
  Check(cudaStreamSynchronize(state.context.stream), "ordering columns");
  for (std::int64_t j = 0; j < columns; ++j) group_costs[j / size] += costs[j];
  const auto by = [](const std::vector<double>& cost) {
    return [&cost](std::int32_t a, std::int32_t b) { return cost[a] > cost[b]; };
  };
  std::vector<std::int32_t> group_order(state.groups), order(columns);
  std::iota(group_order.begin(), group_order.end(), 0);
  std::stable_sort(group_order.begin(), group_order.end(), by(group_costs));
  for (std::int64_t g = 0; g < state.groups; ++g) {
    const auto begin = order.begin() + g * size;
    std::iota(begin, begin + size, static_cast<std::int32_t>(group_order[g] * size));
    std::stable_sort(begin, begin + size, by(costs));
  }
  return order;
}

void MakeMatrix(const DescentState& state, const std::int32_t* order, float* out) {
  const Scratch<double> trace(state.context, 1);
  const double* sum = trace.data();
  const float* matrix = state.params.matrix.f32();
  const std::int64_t n = state.columns;
  const double damping = state.params.damping;
  Trace(state.context, kName, matrix, n, trace.data());
  ForEach(state.context, kName, n * n, [=] __device__(std::int64_t index) {
    const std::int64_t i = index / n, j = index % n;
    const float value = order == nullptr ? matrix[index] : matrix[order[i] * n + order[j]];
    out[index] = i == j ? value + static_cast<float>(damping * *sum / n) : value;
  });
}

// Groups of `unit` columns: the i-th that is visited to or from where the caller has it.
template <class T>
void Gather(const DescentState& state, const std::int32_t* order, std::int64_t unit, const T* from,
            T* to) {
  const std::int64_t items = state.columns / unit;
  ForEach(state.context, kName, state.rows * items, [=] __device__(std::int64_t index) {
    const std::int64_t i = index % items;
    to[index] = from[index - i + order[i * unit] / unit];
  });
}

template <class T>
void Scatter(const DescentState& state, const std::int32_t* order, std::int64_t unit, const T* from,
             T* to) {
  const std::int64_t items = state.columns / unit;
  ForEach(state.context, kName, state.rows * items, [=] __device__(std::int64_t index) {
    const std::int64_t i = index % items;
    to[index - i + order[i * unit] / unit] = from[index];
  });
}

// Every group's step is that of the super-block that it lies in.
void SpreadSteps(const DescentState& state, const std::int32_t* order, const float* steps,
                 float* out) {
  const std::int64_t supers = state.params.scale_steps.cols();
  const std::int64_t groups = state.groups, size = state.group_size;
  ForEach(state.context, kName, state.rows * groups, [=] __device__(std::int64_t i) {
    const std::int64_t row = i / groups, visited = i % groups;
    const std::int64_t group = order == nullptr ? visited : order[visited * size] / size;
    out[i] = steps[row * supers + group * supers / groups];
  });
}

}  // namespace

DescentState::DescentState(const Context& context, const DescendParams& params)
    : context(context),
      params(params),
      rows(params.weight.rows()),
      columns(params.weight.cols()),
      groups(params.scales.cols()),
      group_size(columns / groups),
      codes(params.codes.u8()),
      scales(params.scales.f32()),
      zeros(params.zeros.f32()),
      matrix(params.matrix.f32()),
      scale_steps(nullptr),
      offset_steps(nullptr),
      delta_(context, rows * columns),
      order_(context, params.greedy ? columns : 0),
      own_codes_(context, params.greedy ? rows * columns : 0),
      own_scales_(context, params.greedy ? rows * groups : 0),
      own_zeros_(context, params.greedy ? rows * groups : 0),
      own_matrix_(context, params.greedy || params.damping > 0 ? columns * columns : 0),
      own_scale_steps_(context, params.scale_steps.empty() ? 0 : rows * groups),
      own_offset_steps_(context, params.scale_steps.empty() ? 0 : rows * groups) {
  delta = delta_.data();
  if (params.greedy) Reorder();
  const std::int32_t* order = params.greedy ? order_.data() : nullptr;
  if (!params.scale_steps.empty()) {
    SpreadSteps(*this, order, params.scale_steps.f32(), own_scale_steps_.data());
    SpreadSteps(*this, order, params.offset_steps.f32(), own_offset_steps_.data());
    scale_steps = own_scale_steps_.data();
    offset_steps = own_offset_steps_.data();
  }
  if (params.greedy || params.damping > 0) {
    MakeMatrix(*this, order, own_matrix_.data());
    matrix = own_matrix_.data();
  }
  WithWeightType(params.weight.dtype, [&](auto type) {
    LoadWeights<typename decltype(type)::type>(*this, order, delta);
  });
}

void DescentState::Reorder() {
  const std::vector<std::int32_t> order = GreedyOrder(*this);
  Check(cudaMemcpyAsync(order_.data(), order.data(), columns * sizeof(std::int32_t),
                        cudaMemcpyHostToDevice, context.stream),
        "ordering columns");
  Gather(*this, order_.data(), 1, codes, own_codes_.data());
  Gather(*this, order_.data(), group_size, scales, own_scales_.data());
  Gather(*this, order_.data(), group_size, zeros, own_zeros_.data());
  codes = own_codes_.data();
  scales = own_scales_.data();
  zeros = own_zeros_.data();
}

void DescentState::SubtractQuantized() {
  const std::int64_t n = group_size;
  float* out = delta;
  const std::uint8_t* own_codes = codes;
  const float *own_scales = scales, *own_zeros = zeros;
  // Rows hold whole groups, so element i belongs to group i / n of all.
  ForEach(context, kName, rows * columns, [=] __device__(std::int64_t i) {
    out[i] -= own_scales[i / n] * (static_cast<float>(own_codes[i]) - own_zeros[i / n]);
  });
}

void DescentState::Save() {
  if (!params.greedy) return;
  Scatter(*this, order_.data(), 1, codes, params.codes.u8());
  Scatter(*this, order_.data(), group_size, scales, params.scales.f32());
  if (scale_steps != nullptr) {
    Scatter(*this, order_.data(), group_size, zeros, params.zeros.f32());
  }
}

void MultiplyByMatrix(const DescentState& state, std::int64_t begin, std::int64_t depth,
                      const float* x, float* out) {
  // The matrix is symmetric: its rows serve as its columns.
  Multiply(state.context, kName,
           {.a = {.data = x, .stride = depth},
            .b = {.data = state.matrix + begin, .stride = state.columns},
            .rows = state.rows,
            .columns = state.columns,
            .depth = depth,
            .out = out,
            .stride = state.columns,
            .precision = state.params.precision});
}

}  // namespace ballast::cuda
