// Softmax attention of one tile of queries of one head on the tensor cores, as FlashAttention-2
// does it (arXiv 2307.08691): a warp owns whole rows of scores, so that their maxima, sums, weights
// and results never leave its registers; the weights, rounded to bfloat16, are the left factor of
// the second product as they lie. Values arrive (cp.async) while scores are made, the next keys
// while values are summed, and two blocks on a multiprocessor let one multiply while the other
// weighs. A warp takes 32 queries where their results fit its registers: each fragment of keys and
// values then serves two products, without which loading them would cost more than multiplying.
// Queries stay in shared memory: in registers they would spill.
#pragma once

#include "cuda/flash_tile.cuh"

namespace ballast::cuda {

// Of a lane: rows lane/4 and 8 further of each fragment.
template <class T>
struct FlashRows {
  float out[T::kFragments][T::kColumns][4];
  float largest[T::kFragments][2];
  float sums[T::kFragments][2];  // of the lane's own keys
};

// scores = the warp's queries · keysᵀ
template <class T>
__device__ __forceinline__ void multiply_keys(const Bfloat* queries, const Bfloat* keys,
                                              typename T::Scores& scores) {
  const int lane = threadIdx.x % kWarp;
  queries += lane % 16 * T::kPitch + lane / 16 * 8;
  keys += (lane / 16 * 8 + lane % 8) * T::kPitch + lane / 8 % 2 * 8;
#pragma unroll
  for (int d = 0; d < T::kHead; d += 16) {
    unsigned q[T::kFragments][4];
#pragma unroll
    for (int m = 0; m < T::kFragments; ++m) load_matrices(q[m], queries + m * 16 * T::kPitch + d);
#pragma unroll
    for (int n = 0; n < T::kKeyColumns; n += 2) {
      unsigned k[4];
      load_matrices(k, keys + n * 8 * T::kPitch + d);
      const unsigned left[2] = {k[0], k[1]}, right[2] = {k[2], k[3]};
#pragma unroll
      for (int m = 0; m < T::kFragments; ++m) {
        multiply_add(scores[m][n], q[m], left);
        multiply_add(scores[m][n + 1], q[m], right);
      }
    }
  }
}

// Masks; and, unless scores are nothing but scaled products, all that follows the product. `first`
// is the warp's first query.
template <class T, bool kPlain>
__device__ __forceinline__ void finish_scores(const AttentionArguments& p, int first, int key0,
                                              float slope, const float* bias,
                                              typename T::Scores& scores) {
  const bool edge = key0 + T::kKeys > p.sequence || (p.causal && key0 + T::kKeys > first + 1) ||
                    (p.window > 0 && first + T::kRows - 1 - key0 >= p.window);
  if (kPlain && !edge) return;
  const int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int m = 0; m < T::kFragments; ++m) {
#pragma unroll
    for (int n = 0; n < T::kKeyColumns; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int query = first + m * 16 + lane / 4 + i / 2 * 8;
        const int key = key0 + n * 8 + lane % 4 * 2 + i % 2;
        float& score = scores[m][n][i];
        if constexpr (kPlain) {
          if (is_hidden(p, query, key)) score = -INFINITY;
        } else {
          score = score_of(p, score * p.scale, slope, bias, query, key);
        }
      }
    }
  }
}

// weights = 2^(factor·(scores − largest)), factor > 0, with a running maximum and sum (arXiv
// 1805.02867).
template <class T>
__device__ __forceinline__ void weigh(const typename T::Scores& scores, float factor,
                                      FlashRows<T>& rows, typename T::Weights& weights) {
#pragma unroll
  for (int m = 0; m < T::kFragments; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float top = rows.largest[m][half];
#pragma unroll
      for (int n = 0; n < T::kKeyColumns; ++n) {
        top = fmaxf(top, fmaxf(scores[m][n][2 * half], scores[m][n][2 * half + 1]));
      }
      top = warp_reduce<4>(top, Largest{});
      const float base = top == -INFINITY ? 0.0f : top * factor;  // nothing seen: weights are 0
      const float correction = exp2_approximate(rows.largest[m][half] * factor - base);
      float sum = rows.sums[m][half] * correction;
#pragma unroll
      for (int n = 0; n < T::kKeyColumns; ++n) {
        const __nv_bfloat162 pair = __floats2bfloat162_rn(
            exp2_approximate(fmaf(scores[m][n][2 * half], factor, -base)),
            exp2_approximate(fmaf(scores[m][n][2 * half + 1], factor, -base)));
        weights[m][n][half] = *reinterpret_cast<const unsigned*>(&pair);
        sum += __low2float(pair) + __high2float(pair);
      }
      rows.largest[m][half] = top;
      rows.sums[m][half] = sum;
#pragma unroll
      for (int c = 0; c < T::kColumns; ++c) {
        rows.out[m][c][2 * half] *= correction;
        rows.out[m][c][2 * half + 1] *= correction;
      }
    }
  }
}

// out += weights · values. The layout of sums, read as that of a left factor, is four words of
// neighbouring fragments.
template <class T>
__device__ __forceinline__ void add_values(const typename T::Weights& weights, const Bfloat* values,
                                           FlashRows<T>& rows) {
  const int lane = threadIdx.x % kWarp;
  values += lane % 16 * T::kPitch + lane / 16 * 8;
#pragma unroll
  for (int step = 0; step < T::kKeys / 16; ++step) {
    unsigned w[T::kFragments][4];
#pragma unroll
    for (int m = 0; m < T::kFragments; ++m) {
#pragma unroll
      for (int i = 0; i < 4; ++i) w[m][i] = weights[m][step * 2 + i / 2][i % 2];
    }
#pragma unroll
    for (int c = 0; c < T::kColumns; c += 2) {
      unsigned v[4];
      load_matrices_transposed(v, values + step * 16 * T::kPitch + c * 8);
      const unsigned left[2] = {v[0], v[1]}, right[2] = {v[2], v[3]};
#pragma unroll
      for (int m = 0; m < T::kFragments; ++m) {
        multiply_add(rows.out[m][c], w[m], left);
        multiply_add(rows.out[m][c + 1], w[m], right);
      }
    }
  }
}

// Divides by the sums and writes the warp's rows from query `first` on; `out` is the sequence's.
template <class T, class Out>
__device__ __forceinline__ void store_rows(const FlashArguments& f, const FlashRows<T>& rows,
                                           int first, std::int64_t stride, Out* out) {
  const int lane = threadIdx.x % kWarp, head_size = f.attention.head_size;
#pragma unroll
  for (int m = 0; m < T::kFragments; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float inverse = 1.0f / warp_reduce<4>(rows.sums[m][half], Sum{});
      const int query = first + m * 16 + lane / 4 + half * 8;
      if (query >= f.attention.sequence) continue;
#pragma unroll
      for (int c = 0; c < T::kColumns; ++c) {
        const int column = c * 8 + lane % 4 * 2;
        const Floats<2> pair = {rows.out[m][c][2 * half] * inverse,
                                rows.out[m][c][2 * half + 1] * inverse};
        Out* to = out + query * stride + column;
        if (f.vectors) {
          if (column < head_size) store_floats(to, 0, pair);
        } else {
          if (column < head_size) to[0] = convert<Out>(pair.of[0]);
          if (column + 1 < head_size) to[1] = convert<Out>(pair.of[1]);
        }
      }
    }
  }
}

// kPlain: no slopes, no bias, no cap, scale > 0; maxima are then taken before scaling.
template <class T, bool kPlain, class Out>
__global__ void __launch_bounds__(kFlashThreads, 2)
    flash_attention_kernel(const FlashArguments f, Out* out) {
  extern __shared__ __align__(128) unsigned char shared[];
  auto* queries = reinterpret_cast<Bfloat*>(shared);
  Bfloat* keys = queries + T::kQueries * T::kPitch;
  Bfloat* values = keys + T::kKeys * T::kPitch;
  const AttentionArguments& p = f.attention;

  // 1. Which tile. Blocks that share keys run side by side, those that see the most of them first.
  const int group = p.heads / p.key_value_heads;
  const unsigned sharing = static_cast<unsigned>(p.blocks) * group;
  const unsigned pack = blockIdx.x / sharing, member = blockIdx.x % sharing;
  const int head = static_cast<int>(pack % p.key_value_heads * group + member % group);
  const int tile0 = (p.blocks - 1 - static_cast<int>(member / group)) * T::kQueries;
  const std::int64_t sequence = pack / p.key_value_heads;
  const std::int64_t stride = static_cast<std::int64_t>(p.heads) * p.head_size;
  const std::int64_t offset = sequence * p.sequence * stride + head * p.head_size;
  const float slope = p.slopes == nullptr ? 0.0f : p.slopes[head];
  const float* bias = bias_of(p, sequence, head);

  // 2. The first keys, and the queries.
  const int begin = p.window > 0 ? max(tile0 - p.window + 1, 0) / T::kKeys : 0;
  const int seen = p.causal ? min(tile0 + T::kQueries, p.sequence) : p.sequence;
  const int end = (seen + T::kKeys - 1) / T::kKeys;
  const std::int64_t packed = static_cast<std::int64_t>(pack) * f.key_tiles * T::kElements;
  fetch_tile<T>(f.keys + packed + begin * T::kElements, keys);
  load_queries<T>(p.query + offset + tile0 * stride, stride, p.sequence - tile0, p.head_size,
                  f.vectors, queries);

  // 3. Tile by tile of keys; a warp passes over those that none of its queries sees.
  const int row0 = threadIdx.x / kWarp * T::kRows;
  const int first = tile0 + row0, last = min(first + T::kRows, p.sequence) - 1;
  const float factor = (kPlain ? p.scale : 1.0f) * 1.44269504f;
  FlashRows<T> rows = {};
  // A sink is a key that all have seen, whose value is zero: the first of a row's four lanes has
  // it.
  const float top = p.sinks == nullptr ? -INFINITY : p.sinks[head] / (kPlain ? p.scale : 1.0f);
  const float sum = p.sinks == nullptr || threadIdx.x % 4 != 0 ? 0.0f : 1.0f;
#pragma unroll
  for (int m = 0; m < T::kFragments; ++m) {
    rows.largest[m][0] = rows.largest[m][1] = top;
    rows.sums[m][0] = rows.sums[m][1] = sum;
  }
  for (int tile = begin; tile < end; ++tile) {
    const int key0 = tile * T::kKeys;
    const bool sees = first <= last && (!p.causal || key0 <= last) &&
                      (p.window == 0 || first - (key0 + T::kKeys - 1) < p.window);
    typename T::Weights weights;
    wait_for_copies<0>();
    __syncthreads();  // the keys are there, and the values before them are read
    fetch_tile<T>(f.values + packed + tile * T::kElements, values);
    if (sees) {
      typename T::Scores scores = {};
      multiply_keys<T>(queries + row0 * T::kPitch, keys, scores);
      finish_scores<T, kPlain>(p, first, key0, slope, bias, scores);
      weigh<T>(scores, factor, rows, weights);
    }
    wait_for_copies<0>();
    __syncthreads();  // the values are there, and the keys before them are read
    if (tile + 1 < end) fetch_tile<T>(f.keys + packed + (tile + 1) * T::kElements, keys);
    if (sees) add_values<T>(weights, values, rows);
  }
  store_rows<T>(f, rows, first, stride, out + offset);
}

}  // namespace ballast::cuda
