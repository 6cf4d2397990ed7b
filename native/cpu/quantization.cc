// Group parameters by range and clipping search; codes and values row by row. Everything that
// decides a code is float32 and in the order of the definition, so that other float32 programs find
// the same codes.
#include "native/cpu/quantization.h"

#include <algorithm>
#include <cmath>

#include "native/cpu/conversion.h"
#include "native/cpu/grid.h"
#include "native/cpu/index_check.h"
#include "native/cpu/rows.h"
#include "native/cpu/scratch.h"

namespace ballast::cpu {
namespace {

// The parameters of a weight's rows: calls f(first column, columns, affine) for each part of a row.
struct RowGrids {
  const View& scales;
  const View& zeros;
  const View& group_index;
  std::int64_t columns;
  float max_code;

  template <class F>
  void ForEachPart(std::int64_t row, Scratch<float>& expanded, F f) const {
    const std::int64_t groups = scales.cols();
    const float* scale = scales.f32() + row * groups;
    const float* zero = zeros.f32() + row * groups;
    if (group_index.empty()) {
      const std::int64_t size = columns / groups;
      for (std::int64_t g = 0; g < groups; ++g) {
        f(g * size, size, Affine{scale + g, zero + g, false, max_code});
      }
      return;
    }
    float* own_scale = expanded.data();
    float* own_zero = own_scale + columns;
    for (std::int64_t j = 0; j < columns; ++j) {
      own_scale[j] = scale[group_index.i32()[j]];
      own_zero[j] = zero[group_index.i32()[j]];
    }
    f(0, columns, Affine{own_scale, own_zero, true, max_code});
  }
};

// Calls body(row, floats) for all rows; floats is the task's working memory.
template <class F>
void ForEachRow(const Context& context, std::int64_t rows, std::int64_t columns,
                std::int64_t floats, F body) {
  context.pool.ParallelFor(
      rows, RowsOfTask(columns),
      [&](std::int64_t begin, std::int64_t end) {
        Scratch<float> scratch(floats);
        for (std::int64_t row = begin; row < end; ++row) body(row, scratch);
      },
      context.cancel);
}

}  // namespace

void FindGroupScale(const Kernels& kernels, const float* w, std::int64_t count,
                    const float* weights_or_null, const Scheme& scheme, float* scale, float* zero) {
  const Interval full = RangeOf(kernels, w, count);
  Grid best = GridOf(kernels, scheme, full);
  const float largest = std::max(-full.low, full.high);
  // Zeros are represented exactly by any grid.
  const int steps = largest > 0 ? scheme.clip_steps : 0;
  ClipTrials trials{.scale = {},
                    .zero = {},
                    .max_code = MaxCode(scheme.bits),
                    .exponent = static_cast<float>(scheme.clip_exponent),
                    .log2_unit = largest > 0 ? static_cast<float>(std::ilogb(largest)) : 0.0f,
                    .limit = INFINITY};
  for (int first = 0; first < steps; first += kClipTrials) {
    for (int t = 0; t < kClipTrials; ++t) {
      // Beyond the last step it is tried again, and cannot win again.
      const int step = std::min(first + t, steps - 1);
      const float p = static_cast<float>(1 - step * scheme.clip_range / steps);
      const Grid grid = GridOf(kernels, scheme, {full.low * p, full.high * p});
      trials.scale[t] = grid.scale;
      trials.zero[t] = grid.zero;
    }
    float errors[kClipTrials];
    kernels.row.clip_errors(w, weights_or_null, count, trials, errors);
    for (int t = 0; t < kClipTrials; ++t) {
      if (!(errors[t] < trials.limit)) continue;
      trials.limit = errors[t];
      best = {trials.scale[t], trials.zero[t]};
    }
  }
  *scale = best.scale;
  *zero = best.zero;
}

void FindScales(const Context& context, const FindScalesParams& p) {
  const std::int64_t columns = p.weight.cols(), groups = p.scales.cols();
  const std::int64_t size = columns / groups;
  ForEachRow(context, p.weight.rows(), columns, columns, [&](std::int64_t row, Scratch<float>& w) {
    ReadFloats(context.kernels, p.weight, row * columns, columns, w.data());
    for (std::int64_t g = 0; g < groups; ++g) {
      const float* channel_weights =
          p.channel_weights.empty() ? nullptr : p.channel_weights.f32() + g * size;
      FindGroupScale(context.kernels, w.data() + g * size, size, channel_weights, p.scheme,
                     p.scales.f32() + row * groups + g, p.zeros.f32() + row * groups + g);
    }
  });
}

void Quantize(const Context& context, const QuantizeParams& p) {
  const std::int64_t columns = p.weight.cols();
  if (!p.group_index.empty()) CheckIndex("groups", p.group_index, p.scales.cols());
  const RowGrids grids{p.scales, p.zeros, p.group_index, columns, MaxCode(p.bits)};
  ForEachRow(context, p.weight.rows(), columns, 3 * columns,
             [&](std::int64_t row, Scratch<float>& scratch) {
               float* w = scratch.data() + 2 * columns;
               ReadFloats(context.kernels, p.weight, row * columns, columns, w);
               grids.ForEachPart(row, scratch,
                                 [&](std::int64_t first, std::int64_t n, const Affine& affine) {
                                   context.kernels.row.quantize(
                                       w + first, affine, n, p.codes.u8() + row * columns + first);
                                 });
             });
}

void Dequantize(const Context& context, const DequantizeParams& p) {
  const std::int64_t columns = p.codes.cols();
  if (!p.group_index.empty()) CheckIndex("groups", p.group_index, p.scales.cols());
  const RowGrids grids{p.scales, p.zeros, p.group_index, columns, 0};
  ForEachRow(context, p.codes.rows(), columns, 3 * columns,
             [&](std::int64_t row, Scratch<float>& scratch) {
               float* w = scratch.data() + 2 * columns;
               grids.ForEachPart(row, scratch,
                                 [&](std::int64_t first, std::int64_t n, const Affine& affine) {
                                   context.kernels.row.dequantize(
                                       p.codes.u8() + row * columns + first, affine, n, w + first);
                                 });
               WriteFloats(context.kernels, w, columns, p.out, row * columns);
             });
}

}  // namespace ballast::cpu
