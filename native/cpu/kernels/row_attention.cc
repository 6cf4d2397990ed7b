// Softmax attention of one block of queries of one head, tile by tile over the keys with a running
// maximum and sum (online softmax, arXiv 1805.02867; tiles as in arXiv 2205.14135): a block's
// scores fit the first cache and no [sequence, sequence] matrix exists. Q Kᵀ and P V are the same
// register-blocked product.
#include <math.h>

#include "native/cpu/kernels/row_parts.h"
#include "native/cpu/kernels/vector_math.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

constexpr std::int64_t kPanel = 2 * kLanes;
// Rows of a register tile: 2·kRows sums, two vectors and a broadcast fill the register file.
constexpr std::int64_t kRows = kLanes == 16 ? 8 : 4;
static_assert(kKeyTile % kPanel == 0 && kQueryBlock % kRows == 0);

inline std::int64_t Least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
inline std::int64_t Most(std::int64_t a, std::int64_t b) { return a > b ? a : b; }
inline std::int64_t RoundUp(std::int64_t a, std::int64_t unit) {
  return (a + unit - 1) / unit * unit;
}

struct Matrix {
  const float* data;
  std::int64_t stride;
};

// c[kRows, kVectors·kLanes] = a[kRows, depth] · b[depth, kVectors·kLanes], added to c if kAdd.
template <int kVectors, bool kAdd>
inline void MultiplyTile(Matrix a, Matrix b, std::int64_t depth, float* c, std::int64_t c_stride) {
  Floats sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = kAdd ? Load<Floats>(c + r * c_stride + v * kLanes) : Floats{};
    }
  }
  for (std::int64_t k = 0; k < depth; ++k) {
    Floats right[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) right[v] = Load<Floats>(b.data + k * b.stride + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const Floats left = Splat(a.data[r * a.stride + k]);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sum[r][v] = MultiplyAdd(left, right[v], sum[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) Store(c + r * c_stride + v * kLanes, sum[r][v]);
  }
}

// The block's working state; rows of queries, scores and out go together.
struct State {
  float* scores;      // [kQueryBlock, kKeyTile]
  float* queries;     // [kQueryBlock, padded_head], scaled
  float* out;         // [kQueryBlock, padded_head], not yet divided by the sums
  float* largest;     // [kQueryBlock]
  float* sums;        // [kQueryBlock]
  std::int64_t rows;  // queries rounded up to kRows; the rows beyond are zero
};

State Begin(const AttentionBlock& block) {
  State state;
  state.scores = block.scratch;
  state.queries = state.scores + kQueryBlock * kKeyTile;
  state.out = state.queries + kQueryBlock * block.padded_head;
  state.largest = state.out + kQueryBlock * block.padded_head;
  state.sums = state.largest + kQueryBlock;
  state.rows = RoundUp(block.queries, kRows);
  memset(state.queries, 0,
         static_cast<std::size_t>(2 * kQueryBlock * block.padded_head) * sizeof(float));
  const float scale = block.scale;
  for (std::int64_t r = 0; r < block.queries; ++r) {
    Map(block.query + r * block.row_stride, block.head_size, state.queries + r * block.padded_head,
        [scale](Floats q) { return q * scale; });
    state.largest[r] = -INFINITY;
    state.sums[r] = 0;
  }
  return state;
}

// Scores of one query become unnormalised probabilities; what was summed before is brought to the
// new maximum. `keys` is a multiple of kPanel.
void SoftmaxRow(const AttentionBlock& block, const State& state, std::int64_t row,
                std::int64_t first_key, std::int64_t keys) {
  float* s = state.scores + row * kKeyTile;
  const std::int64_t position = block.first_query + row;
  const std::int64_t end = block.causal ? position + 1 : block.sequence;
  const std::int64_t begin = block.window > 0 ? position - block.window + 1 : 0;
  const std::int64_t visible_end = Least(end - first_key, keys);
  const std::int64_t visible = Most(begin - first_key, 0);
  if (visible >= visible_end) {
    memset(s, 0, static_cast<std::size_t>(keys) * sizeof(float));
    return;
  }
  if (block.softcap > 0) {
    const float cap = block.softcap;
    Map(s, keys, s, [cap](Floats x) { return Tanh(x / cap) * cap; });
  }
  if (block.slope != 0) {
    for (std::int64_t j = 0; j < keys; ++j)
      s[j] += block.slope * static_cast<float>(first_key + j - position);
  }
  if (block.bias != nullptr) {
    const float* bias = block.bias + row * block.sequence + first_key;
    for (std::int64_t j = visible; j < visible_end; ++j) s[j] += bias[j];
  }
  for (std::int64_t j = 0; j < visible; ++j) s[j] = -INFINITY;
  for (std::int64_t j = visible_end; j < keys; ++j) s[j] = -INFINITY;

  Floats largest = Splat(state.largest[row]);
  for (std::int64_t j = 0; j < keys; j += kLanes) largest = Max(Load<Floats>(s + j), largest);
  const float top = Largest(largest);
  Floats sum{};
  for (std::int64_t j = 0; j < keys; j += kLanes) {
    const Floats e = Exp(Load<Floats>(s + j) - top);
    Store(s + j, e);
    sum += e;
  }
  const float correction =
      top == state.largest[row] ? 1.0f : Exp(Splat(state.largest[row] - top))[0];
  if (correction != 1.0f) {
    float* out = state.out + row * block.padded_head;
    Map(out, block.padded_head, out, [correction](Floats o) { return o * correction; });
  }
  state.sums[row] = state.sums[row] * correction + Sum(sum);
  state.largest[row] = top;
}

void Scores(const AttentionBlock& block, const State& state, std::int64_t first_key,
            std::int64_t keys) {
  for (std::int64_t j = 0; j < keys; j += kPanel) {
    const Matrix panel{block.packed_key + (first_key + j) * block.head_size, kPanel};
    for (std::int64_t r = 0; r < state.rows; r += kRows) {
      const Matrix queries{state.queries + r * block.padded_head, block.padded_head};
      MultiplyTile<2, false>(queries, panel, block.head_size, state.scores + r * kKeyTile + j,
                             kKeyTile);
    }
  }
}

void AddValues(const AttentionBlock& block, const State& state, std::int64_t first_key,
               std::int64_t keys) {
  const std::int64_t stride = block.padded_head;
  for (std::int64_t c = 0; c < stride; c += kPanel) {
    const Matrix values{block.packed_value + first_key * stride + c, stride};
    for (std::int64_t r = 0; r < state.rows; r += kRows) {
      const Matrix weights{state.scores + r * kKeyTile, kKeyTile};
      float* out = state.out + r * stride + c;
      if (c + kPanel <= stride) {
        MultiplyTile<2, true>(weights, values, keys, out, stride);
      } else {
        MultiplyTile<1, true>(weights, values, keys, out, stride);
      }
    }
  }
}

void Attend(const AttentionBlock& block) {
  const State state = Begin(block);
  const std::int64_t begin =
      block.window > 0 ? Most(block.first_query - block.window + 1, 0) / kPanel * kPanel : 0;
  const std::int64_t end = block.causal ? block.first_query + block.queries : block.sequence;
  for (std::int64_t first = begin; first < end; first += kKeyTile) {
    const std::int64_t keys = Least(kKeyTile, RoundUp(end - first, kPanel));
    Scores(block, state, first, keys);
    for (std::int64_t r = 0; r < block.queries; ++r) SoftmaxRow(block, state, r, first, keys);
    AddValues(block, state, first, keys);
  }
  for (std::int64_t r = 0; r < block.queries; ++r) {
    const float inverse = 1.0f / state.sums[r];
    Map(state.out + r * block.padded_head, block.head_size, block.out + r * block.row_stride,
        [inverse](Floats o) { return o * inverse; });
  }
}

void PackKeys(const float* key, std::int64_t stride, std::int64_t keys, std::int64_t head_size,
              float* packed) {
  for (std::int64_t j = 0; j < RoundUp(keys, kPanel); ++j) {
    float* column = packed + j / kPanel * kPanel * head_size + j % kPanel;
    for (std::int64_t c = 0; c < head_size; ++c) {
      column[c * kPanel] = j < keys ? key[j * stride + c] : 0.0f;
    }
  }
}

void PackValues(const float* value, std::int64_t stride, std::int64_t keys, std::int64_t head_size,
                std::int64_t padded_head, float* packed) {
  memset(packed, 0, static_cast<std::size_t>(RoundUp(keys, kPanel) * padded_head) * sizeof(float));
  for (std::int64_t j = 0; j < keys; ++j) {
    memcpy(packed + j * padded_head, value + j * stride,
           static_cast<std::size_t>(head_size) * sizeof(float));
  }
}

}  // namespace

void AddAttentionKernels(RowKernels& table) {
  table.pack_keys = PackKeys;
  table.pack_values = PackValues;
  table.attend = Attend;
}

}  // namespace ballast::cpu::BALLAST_ISA
