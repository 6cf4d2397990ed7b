// Two kernels, by where the depth runs; both write 16 bytes a thread and plane. Bandwidth is all
// they cost: a pass over the operand where the product makes thousands.
#include "cuda/check.h"
#include "cuda/numbers.cuh"
#include "cuda/packing.h"

namespace ballast::cuda {
namespace {

constexpr int kVector = 8;  // bfloat16 numbers in 16 bytes
constexpr int kPackThreads = 256;
constexpr int kTileItems = 32;
constexpr int kTileDepth = kPackThreads / kTileItems * kVector;
static_assert(kTileDepth == kDepthUnit && kItemUnit % kTileItems == 0);

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

// One thread 8 elements of a row. Grid: vectors of a padded row × padded items.
template <class T, int kPlanes>
__global__ void pack_rows_kernel(const T* in, std::int64_t stride, std::int64_t items,
                                 std::int64_t depth, std::int64_t padded_items,
                                 std::int64_t padded_depth, Bfloat* out) {
  const std::int64_t vectors = padded_depth / kVector;
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * kPackThreads + threadIdx.x;
  const std::int64_t item = index / vectors, first = index % vectors * kVector;
  if (item >= padded_items) return;
  float x[kVector];
#pragma unroll
  for (int i = 0; i < kVector; ++i) {
    const bool inside = item < items && first + i < depth;
    x[i] = inside ? convert<float>(in[item * stride + first + i]) : 0.0f;
  }
  split<kPlanes>(x, out + item * padded_depth + first, padded_items * padded_depth);
}

// A tile through shared memory, since the reads run along the items and the writes along the depth.
template <class T, int kPlanes>
__global__ void pack_columns_kernel(const T* in, std::int64_t stride, const float* shift,
                                    std::int64_t items, std::int64_t depth,
                                    std::int64_t padded_items, std::int64_t padded_depth,
                                    Bfloat* out) {
  __shared__ float tile[kTileDepth][kTileItems + 1];
  const std::int64_t item_tiles = padded_items / kTileItems;
  const std::int64_t item0 = blockIdx.x % item_tiles * kTileItems;
  const std::int64_t depth0 = blockIdx.x / item_tiles * kTileDepth;
  const int column = threadIdx.x % kTileItems;
  for (int row = threadIdx.x / kTileItems; row < kTileDepth; row += kPackThreads / kTileItems) {
    const std::int64_t item = item0 + column, at = depth0 + row;
    float x = 0;
    if (item < items && at < depth) {
      x = convert<float>(in[at * stride + item]);
      if (shift != nullptr) x -= shift[item];
    }
    tile[row][column] = x;
  }
  __syncthreads();
  const int own = threadIdx.x / (kTileDepth / kVector);
  const int first = threadIdx.x % (kTileDepth / kVector) * kVector;
  float x[kVector];
#pragma unroll
  for (int i = 0; i < kVector; ++i) x[i] = tile[first + i][own];
  split<kPlanes>(x, out + (item0 + own) * padded_depth + depth0 + first,
                 padded_items * padded_depth);
}

template <class T, int kPlanes>
void Launch(const Context& context, const char* operation, const Operand& operand,
            std::int64_t items, std::int64_t depth, Bfloat* out) {
  const std::int64_t padded_items = RoundUp(items, kItemUnit);
  const std::int64_t padded_depth = RoundUp(depth, kDepthUnit);
  const auto blocks = static_cast<unsigned>(padded_items * padded_depth / (kPackThreads * kVector));
  const T* in = static_cast<const T*>(operand.data);
  if (operand.depth_contiguous) {
    pack_rows_kernel<T, kPlanes><<<blocks, kPackThreads, 0, context.stream>>>(
        in, operand.stride, items, depth, padded_items, padded_depth, out);
  } else {
    pack_columns_kernel<T, kPlanes><<<blocks, kPackThreads, 0, context.stream>>>(
        in, operand.stride, operand.shift, items, depth, padded_items, padded_depth, out);
  }
  CheckLaunch(operation);
}

bool LiesPacked(const Operand& operand, std::int64_t items, std::int64_t depth) {
  return operand.dtype == DType::kBFloat16 && operand.depth_contiguous && operand.stride == depth &&
         items % kItemUnit == 0 && depth % kDepthUnit == 0 &&
         reinterpret_cast<std::uintptr_t>(operand.data) % 16 == 0;
}

}  // namespace

int PlanesOf(DType dtype, Precision precision) {
  if (precision == Precision::kBFloat16 || dtype == DType::kBFloat16) return 1;
  return dtype == DType::kFloat16 ? 2 : 3;
}

Packed Pack(const Context& context, const char* operation, const Operand& operand,
            std::int64_t items, std::int64_t depth, Precision precision) {
  Packed packed{.data = static_cast<const Bfloat*>(operand.data),
                .planes = PlanesOf(operand.dtype, precision),
                .plane_size = RoundUp(items, kItemUnit) * RoundUp(depth, kDepthUnit),
                .depth = RoundUp(depth, kDepthUnit),
                .memory = nullptr};
  if (packed.plane_size == 0 || LiesPacked(operand, items, depth)) return packed;
  packed.memory = std::make_unique<Scratch<Bfloat>>(context, packed.planes * packed.plane_size);
  Bfloat* out = packed.memory->data();
  packed.data = out;
  WithWeightType(operand.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    switch (packed.planes) {
      case 1:
        return Launch<T, 1>(context, operation, operand, items, depth, out);
      case 2:
        return Launch<T, 2>(context, operation, operand, items, depth, out);
      default:
        return Launch<T, 3>(context, operation, operand, items, depth, out);
    }
  });
  return packed;
}

}  // namespace ballast::cuda
