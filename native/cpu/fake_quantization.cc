// Quantization of activations and back, in one pass over the rows; per tensor after a pass for the
// range. The smallest and largest value do not depend on the order in which they are found.
#include <algorithm>
#include <functional>

#include "native/core/divide_up.h"
#include "native/cpu/grid.h"
#include "native/cpu/quantization.h"
#include "native/cpu/reductions.h"
#include "native/cpu/rows.h"
#include "native/cpu/scratch.h"

namespace ballast::cpu {
namespace {

using RowRange = std::function<void(std::int64_t, std::int64_t)>;

// The range of all of x, in parallel over pieces of the flat data.
Interval TensorRange(const Context& context, const View& x) {
  constexpr std::int64_t kPiece = 65536;
  const std::int64_t n = x.shape.elements();
  const std::int64_t pieces = DivideUp(n, kPiece);
  Scratch<Interval> ranges(pieces);
  context.pool.ParallelFor(
      pieces, 1,
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const std::int64_t first = i * kPiece;
          ranges[i] = RangeOf(context.kernels, x.f32() + first, std::min(kPiece, n - first));
        }
      },
      context.cancel);
  Interval all;
  for (std::int64_t i = 0; i < pieces; ++i) {
    all.low = std::min(all.low, ranges[i].low);
    all.high = std::max(all.high, ranges[i].high);
  }
  return all;
}

// Quantizes rows begin … end with a grid found for each `size` channels of a row.
void QuantizeByGroup(const Context& context, const FakeQuantizeParams& p, const Scheme& scheme,
                     std::int64_t size, std::int64_t begin, std::int64_t end) {
  const std::int64_t n = p.x.cols();
  for (std::int64_t first = begin * n; first < end * n; first += size) {
    const float* x = p.x.f32() + first;
    const Grid grid = GridOf(context.kernels, scheme, RangeOf(context.kernels, x, size));
    const Affine affine{&grid.scale, &grid.zero, false, MaxCode(p.bits)};
    context.kernels.row.fake_quantize(x, affine, size, p.out.f32() + first);
  }
}

void QuantizeRows(const Context& context, const FakeQuantizeParams& p, const Affine& affine,
                  std::int64_t begin, std::int64_t end) {
  const std::int64_t n = p.x.cols();
  for (std::int64_t row = begin; row < end; ++row) {
    context.kernels.row.fake_quantize(p.x.f32() + row * n, affine, n, p.out.f32() + row * n);
  }
}

// Runs `quantize` over all rows, adding up the results' channels where that is asked for.
void Run(const Context& context, const FakeQuantizeParams& p, const RowRange& quantize) {
  if (!p.channel_sum.empty()) return SumRows(context, p.out, p.channel_sum.f64(), quantize);
  context.pool.ParallelFor(p.x.rows(), RowsOfTask(p.x.cols()), quantize, context.cancel);
}

}  // namespace

void FakeQuantize(const Context& context, const FakeQuantizeParams& p) {
  const Scheme scheme{.bits = p.bits, .symmetric = p.symmetric};
  const bool fixed = !p.scales.empty();
  if (!fixed && p.granularity != Granularity::kTensor) {
    const std::int64_t size = p.granularity == Granularity::kRow ? p.x.cols() : p.group_size;
    return Run(context, p, [&](std::int64_t begin, std::int64_t end) {
      QuantizeByGroup(context, p, scheme, size, begin, end);
    });
  }
  Grid grid{};
  Affine affine{&grid.scale, &grid.zero, false, MaxCode(p.bits)};
  if (fixed) {
    affine.scale = p.scales.f32();
    affine.zero = p.zeros.f32();
    affine.per_element = p.scales.shape.elements() > 1;
  } else {
    grid = GridOf(context.kernels, scheme, TensorRange(context, p.x));
  }
  Run(context, p,
      [&](std::int64_t begin, std::int64_t end) { QuantizeRows(context, p, affine, begin, end); });
}

}  // namespace ballast::cpu
