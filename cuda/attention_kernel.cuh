// Softmax attention of one tile of queries of one head, tile by tile over the keys with a running
// maximum and sum (online softmax, arXiv 1805.02867; tiles as in arXiv 2205.14135): no
// [sequence, sequence] matrix exists. Products are float32 on the ordinary units, because scores
// decide over exponentials: 16×16 threads, each a few rows of scores and of the result.
#pragma once

#include <cstdint>

#include "cuda/attention_arguments.cuh"
#include "cuda/numbers.cuh"
#include "cuda/reduce.cuh"

namespace ballast::cuda {

constexpr int kAttentionSide = 16;
constexpr int kAttentionThreads = kAttentionSide * kAttentionSide;

// kHead: head sizes up to it. Rows of shared tiles are 16 bytes longer than they are wide, which
// spreads the rows that a warp reads at once over the banks.
template <int kHeadSize, int kQueryRows, int kKeyRows>
struct AttentionTile {
  static constexpr int kHead = kHeadSize;
  static constexpr int kQueries = kQueryRows;
  static constexpr int kKeys = kKeyRows;
  static constexpr int kPitch = kHead + 4;
  static constexpr int kScorePitch = kKeys + 4;
  static constexpr int kRows = kQueries / kAttentionSide;      // of a thread
  static constexpr int kScores = kKeys / kAttentionSide;       // of a thread and row
  static constexpr int kVectors = kHead / kAttentionSide / 4;  // of 4 results, of a thread and row
  static constexpr int kBytes =
      ((kQueries + kKeys) * kPitch + kQueries * kScorePitch) * static_cast<int>(sizeof(float));
};

// Rows of one head of a tensor of tokens, times `scale`, zero beyond `rows` and the head size.
template <class T, int kRows>
__device__ __forceinline__ void load_rows(const float* from, std::int64_t stride, int rows,
                                          int head_size, float scale, float* to) {
  for (int i = threadIdx.x; i < kRows * T::kHead; i += kAttentionThreads) {
    const int row = i / T::kHead, column = i % T::kHead;
    const bool inside = row < rows && column < head_size;
    to[row * T::kPitch + column] = inside ? from[row * stride + column] * scale : 0.0f;
  }
}

__device__ __forceinline__ float4 at4(const float* data) {
  return *reinterpret_cast<const float4*>(data);
}

// scores = queries · keysᵀ for the thread's rows ty·kRows … and columns tx, tx + 16, …
template <class T>
__device__ __forceinline__ void multiply_keys(const float* queries, const float* keys, int tx,
                                              int ty, float (&scores)[T::kRows][T::kScores]) {
  for (int d = 0; d < T::kHead; d += 4) {
    float4 k[T::kScores];
#pragma unroll
    for (int j = 0; j < T::kScores; ++j) {
      k[j] = at4(keys + (tx + j * kAttentionSide) * T::kPitch + d);
    }
#pragma unroll
    for (int r = 0; r < T::kRows; ++r) {
      const float4 q = at4(queries + (ty * T::kRows + r) * T::kPitch + d);
#pragma unroll
      for (int j = 0; j < T::kScores; ++j) {
        float sum = scores[r][j];
        sum = fmaf(q.x, k[j].x, sum);
        sum = fmaf(q.y, k[j].y, sum);
        sum = fmaf(q.z, k[j].z, sum);
        scores[r][j] = fmaf(q.w, k[j].w, sum);
      }
    }
  }
}

__device__ __forceinline__ void add_scaled(float4& sum, float factor, float4 x) {
  sum.x = fmaf(factor, x.x, sum.x);
  sum.y = fmaf(factor, x.y, sum.y);
  sum.z = fmaf(factor, x.z, sum.z);
  sum.w = fmaf(factor, x.w, sum.w);
}

// out += weights · values for the thread's rows and columns 4·tx, 4·tx + 64, …
template <class T>
__device__ __forceinline__ void add_values(const float* weights, const float* values, int tx,
                                           int ty, float4 (&out)[T::kRows][T::kVectors]) {
  for (int key = 0; key < T::kKeys; ++key) {
    float4 v[T::kVectors];
#pragma unroll
    for (int c = 0; c < T::kVectors; ++c) {
      v[c] = at4(values + key * T::kPitch + (c * kAttentionSide + tx) * 4);
    }
#pragma unroll
    for (int r = 0; r < T::kRows; ++r) {
      const float weight = weights[(ty * T::kRows + r) * T::kScorePitch + key];
#pragma unroll
      for (int c = 0; c < T::kVectors; ++c) add_scaled(out[r][c], weight, v[c]);
    }
  }
}

// What a thread has of its rows so far: the largest score, and sums of exp(score − largest), by
// themselves and times values.
template <class T>
struct RunningRows {
  float largest[T::kRows];
  float sums[T::kRows];
  float4 out[T::kRows][T::kVectors];
};

// Turns scores of the keys from key0 on into weights, and what came before to the new largest ones.
template <class T>
__device__ __forceinline__ void weigh(const AttentionArguments& p, float slope, const float* bias,
                                      int first, int key0, int tx, int ty,
                                      float (&scores)[T::kRows][T::kScores], float* weights,
                                      RunningRows<T>& rows) {
#pragma unroll
  for (int r = 0; r < T::kRows; ++r) {
    const int row = ty * T::kRows + r;
    float top = rows.largest[r];
#pragma unroll
    for (int j = 0; j < T::kScores; ++j) {
      scores[r][j] =
          score_of(p, scores[r][j], slope, bias, first + row, key0 + tx + j * kAttentionSide);
      top = fmaxf(top, scores[r][j]);
    }
    top = warp_reduce<kAttentionSide>(top, Largest{});
    const float base = top == -INFINITY ? 0.0f : top;  // nothing seen yet: all weights are 0
    const float correction = expf(rows.largest[r] - base);
    float sum = 0;
#pragma unroll
    for (int j = 0; j < T::kScores; ++j) {
      const float weight = expf(scores[r][j] - base);
      weights[row * T::kScorePitch + tx + j * kAttentionSide] = weight;
      sum += weight;
    }
    rows.sums[r] = rows.sums[r] * correction + warp_reduce<kAttentionSide>(sum, Sum{});
    rows.largest[r] = top;
#pragma unroll
    for (int c = 0; c < T::kVectors; ++c) {
      rows.out[r][c].x *= correction;
      rows.out[r][c].y *= correction;
      rows.out[r][c].z *= correction;
      rows.out[r][c].w *= correction;
    }
  }
}

// Divides by the sums and writes what lies within `count` rows and the head.
template <class T, class Out>
__device__ __forceinline__ void store_rows(const RunningRows<T>& rows, int count, int head_size,
                                           std::int64_t stride, int tx, int ty, Out* out) {
#pragma unroll
  for (int r = 0; r < T::kRows; ++r) {
    const int row = ty * T::kRows + r;
    if (row >= count) continue;
    const float inverse = 1.0f / rows.sums[r];
#pragma unroll
    for (int c = 0; c < T::kVectors; ++c) {
      const float4 x = rows.out[r][c];
      const float four[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int column = (c * kAttentionSide + tx) * 4 + i;
        if (column < head_size) out[row * stride + column] = convert<Out>(four[i] * inverse);
      }
    }
  }
}

template <class T, class Out>
__global__ void __launch_bounds__(kAttentionThreads)
    attention_kernel(const AttentionArguments p, Out* out) {
  extern __shared__ __align__(16) float shared_floats[];
  float* queries = shared_floats;
  float* keys = queries + T::kQueries * T::kPitch;  // and, in turn, values
  float* weights = keys + T::kKeys * T::kPitch;
  const int tx = threadIdx.x % kAttentionSide, ty = threadIdx.x / kAttentionSide;

  // 1. Which tile. The last tiles of a causal sequence see the most keys: they start first.
  const std::int64_t columns = p.batch * p.heads;
  const int block = p.blocks - 1 - static_cast<int>(blockIdx.x / columns);
  const std::int64_t token0 = blockIdx.x % columns / p.heads * p.sequence;
  const int head = static_cast<int>(blockIdx.x % p.heads);
  const int shared_head = head / (p.heads / p.key_value_heads);
  const int first = block * T::kQueries;
  const std::int64_t stride = static_cast<std::int64_t>(p.heads) * p.head_size;
  const std::int64_t key_stride = static_cast<std::int64_t>(p.key_value_heads) * p.head_size;
  const std::int64_t offset = (token0 + first) * stride + head * p.head_size;
  const std::int64_t key_offset = token0 * key_stride + shared_head * p.head_size;
  const float slope = p.slopes == nullptr ? 0.0f : p.slopes[head];
  const float* bias = bias_of(p, blockIdx.x % columns / p.heads, head);
  load_rows<T, T::kQueries>(p.query + offset, stride, p.sequence - first, p.head_size, p.scale,
                            queries);

  // 2. Tile by tile of keys.
  RunningRows<T> rows = {};
#pragma unroll
  for (int r = 0; r < T::kRows; ++r) {
    // A sink is a key that all have seen, whose value is zero.
    rows.largest[r] = p.sinks == nullptr ? -INFINITY : p.sinks[head];
    rows.sums[r] = p.sinks == nullptr ? 0.0f : 1.0f;
  }
  const int begin = p.window > 0 ? max(first - p.window + 1, 0) / T::kKeys * T::kKeys : 0;
  const int end = p.causal ? min(first + T::kQueries, p.sequence) : p.sequence;
  for (int key0 = begin; key0 < end; key0 += T::kKeys) {
    const std::int64_t at = key_offset + key0 * key_stride;
    __syncthreads();  // the values before are read
    load_rows<T, T::kKeys>(p.key + at, key_stride, p.sequence - key0, p.head_size, 1.0f, keys);
    __syncthreads();
    float scores[T::kRows][T::kScores] = {};
    multiply_keys<T>(queries, keys, tx, ty, scores);
    weigh<T>(p, slope, bias, first, key0, tx, ty, scores, weights, rows);
    __syncthreads();  // the keys are read, the weights are there
    load_rows<T, T::kKeys>(p.value + at, key_stride, p.sequence - key0, p.head_size, 1.0f, keys);
    __syncthreads();
    add_values<T>(weights, keys, tx, ty, rows.out);
  }

  store_rows<T>(rows, p.sequence - first, p.head_size, stride, tx, ty, out + offset);
}

}  // namespace ballast::cuda
