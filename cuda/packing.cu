// Two kernels, by where the depth runs; both write 16 bytes a thread and plane, whole lines a warp
// in either layout. Bandwidth is all they cost: a pass over the operand where the product makes
// thousands.
#include "cuda/check.h"
#include "cuda/numbers.cuh"
#include "cuda/packing.h"

namespace ballast::cuda {
namespace {

constexpr int kVector = 8;  // bfloat16 numbers in 16 bytes
constexpr int kPackThreads = 256;
// What a block packs; of neighbouring threads each writes the next chunk of an item.
constexpr int kBlockItems = 32;
constexpr int kBlockDepth = kDepthUnit;
constexpr int kChunks = kBlockDepth / kVector;
static_assert(kBlockItems * kChunks == kPackThreads && kItemUnit % kBlockItems == 0);

// What a plane looks like.
struct Plane {
  Layout layout;
  std::int64_t items;  // both padded
  std::int64_t depth;

  // Where elements `first` … of an item lie, kVector of them.
  __device__ std::int64_t at(std::int64_t item, std::int64_t first) const {
    if (layout == Layout::kRows) return item * depth + first;
    const auto row = static_cast<int>(item % kItemUnit);
    const int chunk = static_cast<int>(first % kDepthUnit) / kVector;
    return packed_tile(static_cast<int>(item / kItemUnit), depth) +
           first / kDepthUnit * kTileElements + row * kDepthUnit + (chunk ^ row % 8) * kVector;
  }
};

// The leading 8 bits of x, then of what is left, and so on: exact when the planes hold all bits.
template <int kPlanes>
__device__ __forceinline__ void split(const float (&x)[kVector], Bfloat* out,
                                      std::int64_t plane_size) {
  float rest[kVector];
#pragma unroll
  for (int i = 0; i < kVector; ++i) rest[i] = x[i];
#pragma unroll
  for (int plane = 0; plane < kPlanes; ++plane) {
    unsigned words[kVector / 2] = {};
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      const Bfloat part = __float2bfloat16_rn(rest[i]);
      words[i / 2] |= static_cast<unsigned>(__bfloat16_as_ushort(part)) << (i % 2 * 16);
      const float value = __bfloat162float(part);
      rest[i] = isfinite(value) ? rest[i] - value : 0.0f;  // infinity has no rest
    }
    *reinterpret_cast<uint4*>(out + plane * plane_size) =
        make_uint4(words[0], words[1], words[2], words[3]);
  }
}

template <class T>
__device__ __forceinline__ void load_vector(const T* from, float (&x)[kVector]) {
  constexpr int kLoad = 16 / sizeof(T);
  struct alignas(16) Load {
    T at[kLoad];
  };
#pragma unroll
  for (int i = 0; i < kVector; i += kLoad) {
    const Load load = *reinterpret_cast<const Load*>(from + i);
#pragma unroll
    for (int j = 0; j < kLoad; ++j) x[i + j] = convert<float>(load.at[j]);
  }
}

// Blocks follow each other along the depth, as the numbers do. `whole`: rows begin at multiples of
// 16 bytes.
template <class T, int kPlanes>
__global__ void pack_rows_kernel(const T* in, std::int64_t stride, bool whole, std::int64_t items,
                                 std::int64_t depth, Plane plane, Bfloat* out) {
  const auto depth_blocks = static_cast<unsigned>(plane.depth / kBlockDepth);
  const std::int64_t item =
      std::int64_t{blockIdx.x / depth_blocks} * kBlockItems + threadIdx.x / kChunks;
  const std::int64_t first =
      std::int64_t{blockIdx.x % depth_blocks} * kBlockDepth + threadIdx.x % kChunks * kVector;
  float x[kVector];
  if (whole && item < items && first + kVector <= depth) {
    load_vector(in + item * stride + first, x);
  } else {
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      const bool inside = item < items && first + i < depth;
      x[i] = inside ? convert<float>(in[item * stride + first + i]) : 0.0f;
    }
  }
  split<kPlanes>(x, out + plane.at(item, first), plane.items * plane.depth);
}

// A block's part through shared memory, since the reads run along the items and the writes along
// the depth.
template <class T, int kPlanes>
__global__ void pack_columns_kernel(const T* in, std::int64_t stride, const float* shift,
                                    std::int64_t items, std::int64_t depth, Plane plane,
                                    Bfloat* out) {
  __shared__ float tile[kBlockDepth][kBlockItems + 1];
  const auto item_blocks = static_cast<unsigned>(plane.items / kBlockItems);
  const std::int64_t item0 = std::int64_t{blockIdx.x % item_blocks} * kBlockItems;
  const std::int64_t depth0 = std::int64_t{blockIdx.x / item_blocks} * kBlockDepth;
  const int column = threadIdx.x % kBlockItems, row0 = threadIdx.x / kBlockItems;
  const std::int64_t item = item0 + column;
  const float own_shift = shift != nullptr && item < items ? shift[item] : 0.0f;
  // All reads before the first use, so that they wait for memory together.
  constexpr int kRowStep = kPackThreads / kBlockItems;
  float read[kBlockDepth / kRowStep];
#pragma unroll
  for (int i = 0; i < kBlockDepth / kRowStep; ++i) {
    const std::int64_t at = depth0 + row0 + i * kRowStep;
    const bool inside = item < items && at < depth;
    read[i] = inside ? convert<float>(in[at * stride + item]) - own_shift : 0.0f;
  }
#pragma unroll
  for (int i = 0; i < kBlockDepth / kRowStep; ++i) tile[row0 + i * kRowStep][column] = read[i];
  __syncthreads();
  const int own = threadIdx.x / kChunks, first = threadIdx.x % kChunks * kVector;
  float x[kVector];
#pragma unroll
  for (int i = 0; i < kVector; ++i) x[i] = tile[first + i][own];
  split<kPlanes>(x, out + plane.at(item0 + own, depth0 + first), plane.items * plane.depth);
}

bool LiesWhole(const Operand& operand) {
  const std::int64_t row_bytes = operand.stride * static_cast<std::int64_t>(SizeOf(operand.dtype));
  return row_bytes % 16 == 0 && reinterpret_cast<std::uintptr_t>(operand.data) % 16 == 0;
}

template <class T, int kPlanes>
void Launch(const Context& context, const char* operation, const Operand& operand,
            std::int64_t items, std::int64_t depth, const Plane& plane, Bfloat* out) {
  const auto blocks = static_cast<unsigned>(plane.items * plane.depth / (kPackThreads * kVector));
  const T* in = static_cast<const T*>(operand.data);
  if (operand.depth_contiguous) {
    pack_rows_kernel<T, kPlanes><<<blocks, kPackThreads, 0, context.stream>>>(
        in, operand.stride, LiesWhole(operand), items, depth, plane, out);
  } else {
    pack_columns_kernel<T, kPlanes><<<blocks, kPackThreads, 0, context.stream>>>(
        in, operand.stride, operand.shift, items, depth, plane, out);
  }
  CheckLaunch(operation);
}

bool LiesPacked(const Operand& operand, std::int64_t items, std::int64_t depth, int planes,
                Layout layout) {
  return layout == Layout::kRows && planes == 1 && operand.dtype == DType::kBFloat16 &&
         operand.depth_contiguous && operand.stride == depth && items % kItemUnit == 0 &&
         depth % kDepthUnit == 0 && LiesWhole(operand);
}

}  // namespace

int PlanesOf(DType dtype) {
  if (dtype == DType::kBFloat16) return 1;
  return dtype == DType::kFloat16 ? 2 : kMostPlanes;
}

Packed Pack(const Context& context, const char* operation, const Operand& operand,
            std::int64_t items, std::int64_t depth, int planes, Layout layout) {
  const Plane plane = {
      .layout = layout,
      .items = RoundUp(items, layout == Layout::kTiles ? 2 * kItemUnit : kItemUnit),
      .depth = RoundUp(depth, kDepthUnit)};
  Packed packed{.data = static_cast<const Bfloat*>(operand.data),
                .planes = planes,
                .plane_size = plane.items * plane.depth,
                .depth = plane.depth,
                .memory = nullptr};
  if (packed.plane_size == 0 || LiesPacked(operand, items, depth, planes, layout)) return packed;
  packed.memory = std::make_unique<Scratch<Bfloat>>(context, planes * packed.plane_size);
  Bfloat* out = packed.memory->data();
  packed.data = out;
  WithWeightType(operand.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    switch (planes) {
      case 1:
        return Launch<T, 1>(context, operation, operand, items, depth, plane, out);
      case 2:
        return Launch<T, 2>(context, operation, operand, items, depth, plane, out);
      default:
        return Launch<T, kMostPlanes>(context, operation, operand, items, depth, plane, out);
    }
  });
  return packed;
}

}  // namespace ballast::cuda
