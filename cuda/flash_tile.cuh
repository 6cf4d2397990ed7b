// Tiles of flash_attention_kernel.cuh: their shapes, and how queries, keys and values come to
// shared memory in bfloat16. Keys and values were rounded before (flash_attention.cu), so
// asynchronous copies bring them; queries, which one tile alone reads, are rounded on their way.
#pragma once

#include "cuda/attention_arguments.cuh"
#include "cuda/numbers.cuh"
#include "cuda/reduce.cuh"
#include "cuda/tensor_core.cuh"
#include "cuda/wide.cuh"

namespace ballast::cuda {

constexpr int kFlashWarps = 4;
constexpr int kFlashThreads = kFlashWarps * kWarp;

// Head sizes up to kHead, padded with zeros. Rows of shared tiles are 16 bytes longer than they are
// wide, so that the eight rows that a fragment load reads at once are in different banks.
template <int kHeadSize, int kQueryFragments, int kKeyRows>
struct FlashTile {
  static constexpr int kHead = kHeadSize;
  static constexpr int kFragments = kQueryFragments;  // of 16 queries, of a warp
  static constexpr int kRows = 16 * kFragments;       // of a warp
  static constexpr int kQueries = kFlashWarps * kRows;
  static constexpr int kKeys = kKeyRows;
  static constexpr int kKeyColumns = kKeys / 8;  // fragments of 8 keys
  static constexpr int kColumns = kHead / 8;     // fragments of 8 channels
  static constexpr int kElements = kKeys * kHead;
  static constexpr int kPitch = kHead + 8;
  static constexpr int kBytes = (kQueries + 2 * kKeys) * kPitch * 2;
  using Scores = float[kFragments][kKeyColumns][4];
  // Two bfloat16 numbers a word: of row lane/4, then of the row 8 further.
  using Weights = unsigned[kFragments][kKeyColumns][2];
};

struct FlashArguments {
  AttentionArguments attention;
  // [batch · key/value heads, key_tiles · T::kKeys, T::kHead], padded with zeros.
  const Bfloat* keys;
  const Bfloat* values;
  int key_tiles;
  bool vectors;  // four channels of a head can be moved at once, two of the result
};

// Four channels of a head in bfloat16, zero beyond its size.
__device__ __forceinline__ uint2 round_channels(const float* row, int column, int head_size,
                                                bool vectors) {
  float4 x = {};
  if (vectors) {
    if (column < head_size) x = *reinterpret_cast<const float4*>(row + column);
  } else {
    if (column < head_size) x.x = row[column];
    if (column + 1 < head_size) x.y = row[column + 1];
    if (column + 2 < head_size) x.z = row[column + 2];
    if (column + 3 < head_size) x.w = row[column + 3];
  }
  return {round_pair(x.x, x.y), round_pair(x.z, x.w)};
}

// The queries of a tile, zero beyond the sequence.
template <class T>
__device__ __forceinline__ void load_queries(const float* from, std::int64_t stride, int rows,
                                             int head_size, bool vectors, Bfloat* to) {
#pragma unroll 8
  for (int i = threadIdx.x; i < T::kQueries * T::kHead / 4; i += kFlashThreads) {
    const int row = i / (T::kHead / 4), column = i % (T::kHead / 4) * 4;
    uint2 four = {};
    if (row < rows) four = round_channels(from + row * stride, column, head_size, vectors);
    *reinterpret_cast<uint2*>(to + row * T::kPitch + column) = four;
  }
}

// A tile of keys or of values.
template <class T>
__device__ __forceinline__ void fetch_tile(const Bfloat* from, Bfloat* to) {
#pragma unroll
  for (int i = 0; i < T::kElements / 8 / kFlashThreads; ++i) {
    const int index = i * kFlashThreads + threadIdx.x;
    copy_async(to + index / T::kColumns * T::kPitch + index % T::kColumns * 8, from + index * 8);
  }
  commit_copies();
}

}  // namespace ballast::cuda
