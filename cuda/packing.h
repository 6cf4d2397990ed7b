// Factors of a product in the form that the tensor cores read: bfloat16, depth contiguous, padded
// with zeros to whole tiles. A float32 number is the sum of three bfloat16 numbers, a float16
// number of two (8 bits each), so a float32 product is a few bfloat16 products of such parts
// ("planes"): bfloat16 weights cost three, where a scheme on tf32 would cost as many at half speed.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <memory>

#include "cuda/context.h"
#include "cuda/memory.h"
#include "native/backend/params.h"

namespace ballast::cuda {

// A factor as it lies in memory: [items, depth], or [depth, items] where depth is not contiguous.
struct Operand {
  const void* data = nullptr;
  DType dtype = DType::kFloat32;  // a weight type
  std::int64_t stride = 0;        // elements from one stored row to the next
  bool depth_contiguous = true;
  const float* shift = nullptr;  // optional [items], subtracted; only where depth is not contiguous
};

constexpr int kItemUnit = 128;  // rows of a tile of a product
constexpr int kDepthUnit = 64;
constexpr int kTileElements = kItemUnit * kDepthUnit;
constexpr int kTileBytes = kTileElements * sizeof(__nv_bfloat16);

// kRows: [items, depth], padded to kItemUnit and kDepthUnit.
// kTiles: items padded to twice kItemUnit; tiles of [kItemUnit, kDepthUnit], those of the same
// items in a row. In each group of eight items of a tile the chunks of 8 numbers are exchanged,
// chunk c of item i with c xor i, as wgmma reads them from shared memory ("128-byte swizzle").
enum class Layout { kRows, kTiles };

// The first tile of the item_tile-th kItemUnit items.
__host__ __device__ inline std::int64_t packed_tile(int item_tile, std::int64_t depth) {
  return std::int64_t{item_tile} * kItemUnit * depth;
}

// planes × items × depth bfloat16, both padded; the first plane holds the leading bits.
struct Packed {
  const __nv_bfloat16* data = nullptr;
  int planes = 1;
  std::int64_t plane_size = 0;                     // elements of a plane
  std::int64_t depth = 0;                          // padded
  std::unique_ptr<Scratch<__nv_bfloat16>> memory;  // none where the operand is read where it lies
};

constexpr int kMostPlanes = 3;

// Of products of planes i and j, the largest i + j that counts.
template <int kPlanesA, int kPlanesB>
constexpr int kMostOrder = (kPlanesA > kPlanesB ? kPlanesA : kPlanesB) - 1;

// Planes that hold all bits of a number of a weight type.
int PlanesOf(DType dtype);

// What `planes` do not hold is rounded off the last one; those beyond PlanesOf are zeros.
Packed Pack(const Context& context, const char* operation, const Operand& operand,
            std::int64_t items, std::int64_t depth, int planes, Layout layout);

}  // namespace ballast::cuda
