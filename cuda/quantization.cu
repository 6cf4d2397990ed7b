// Weights: a warp finds a group's grid, a thread makes an element's code or value.
#include "cuda/grid.cuh"
#include "cuda/grid_loop.cuh"
#include "cuda/index_check.h"
#include "cuda/operations.h"

namespace ballast::cuda {
namespace {

constexpr int kGroupWarps = 8;

template <class T>
__global__ void find_scales_kernel(const T* weight, const float* channel_weights, Scheme scheme,
                                   std::int64_t all_groups, std::int64_t row_groups, int size,
                                   float* scales, float* zeros) {
  const std::int64_t group = static_cast<std::int64_t>(blockIdx.x) * kGroupWarps + threadIdx.y;
  if (group >= all_groups) return;
  const T* own = weight + group * size;
  const float* weights =
      channel_weights == nullptr ? nullptr : channel_weights + group % row_groups * size;
  const Grid grid = find_grid(
      size, [own](int i) { return convert<float>(own[i]); }, weights, scheme);
  if (threadIdx.x == 0) {
    scales[group] = grid.scale;
    zeros[group] = grid.zero;
  }
}

// The grid of each element of a matrix, by the group of its column.
struct Grids {
  const float* scales;
  const float* zeros;
  const std::int32_t* group_index;  // null: runs of `size` columns
  std::int64_t columns;
  std::int64_t groups;
  std::int64_t size;

  Grids(const View& scale, const View& zero, const View& index, std::int64_t columns_)
      : scales(scale.f32()),
        zeros(zero.f32()),
        group_index(index.i32()),
        columns(columns_),
        groups(scale.cols()),
        size(columns_ / scale.cols()) {}

  __device__ Grid of(std::int64_t element) const {
    const std::int64_t row = element / columns, column = element % columns;
    const std::int64_t group = group_index == nullptr ? column / size : group_index[column];
    return {scales[row * groups + group], zeros[row * groups + group]};
  }
};

template <class T>
void QuantizeAs(const Context& context, const QuantizeParams& p, const Grids& grids) {
  const T* weight = p.weight.as<T>();
  std::uint8_t* codes = p.codes.u8();
  const float max_code = max_code_of(p.bits);
  ForEach(context, "quantize", p.weight.shape.elements(), [=] __device__(std::int64_t i) {
    codes[i] = static_cast<std::uint8_t>(
        static_cast<int>(code_of(convert<float>(weight[i]), grids.of(i), max_code)));
  });
}

template <class T>
void DequantizeAs(const Context& context, const DequantizeParams& p, const Grids& grids) {
  const std::uint8_t* codes = p.codes.u8();
  T* out = p.out.as<T>();
  ForEach(context, "dequantize", p.codes.shape.elements(), [=] __device__(std::int64_t i) {
    out[i] = convert<T>(value_of(static_cast<float>(codes[i]), grids.of(i)));
  });
}

}  // namespace

void FindScales(const Context& context, const FindScalesParams& p) {
  const std::int64_t groups = p.scales.shape.elements();
  if (groups == 0) return;
  const auto size = static_cast<int>(p.weight.cols() / p.scales.cols());
  const auto blocks = static_cast<unsigned>(DivideUp(groups, kGroupWarps));
  WithWeightType(p.weight.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    find_scales_kernel<<<blocks, dim3(kWarp, kGroupWarps), 0, context.stream>>>(
        p.weight.as<T>(), p.channel_weights.f32(), p.scheme, groups, p.scales.cols(), size,
        p.scales.f32(), p.zeros.f32());
    CheckLaunch("findScales");
  });
}

void Quantize(const Context& context, const QuantizeParams& p) {
  if (!p.group_index.empty()) CheckIndex(context, "groups", p.group_index, p.scales.cols());
  const Grids grids(p.scales, p.zeros, p.group_index, p.weight.cols());
  WithWeightType(p.weight.dtype,
                 [&](auto type) { QuantizeAs<typename decltype(type)::type>(context, p, grids); });
}

void Dequantize(const Context& context, const DequantizeParams& p) {
  if (!p.group_index.empty()) CheckIndex(context, "groups", p.group_index, p.scales.cols());
  const Grids grids(p.scales, p.zeros, p.group_index, p.codes.cols());
  WithWeightType(p.out.dtype, [&](auto type) {
    DequantizeAs<typename decltype(type)::type>(context, p, grids);
  });
}

}  // namespace ballast::cuda
