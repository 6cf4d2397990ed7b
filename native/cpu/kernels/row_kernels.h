// Inner loops over one row (or a few) of numbers: the row-wise half of the kernel table. `n` counts
// elements; rows need no alignment; outputs may alias inputs of the same type exactly.
#pragma once

#include <cstdint>

namespace ballast::cpu {

// What a panel of queries, two vectors of them, has seen of the keys so far. Arrays with a number
// for each query of a panel are marked [·].
struct AttentionSums {
  std::int64_t queries;  // that there are
  float* out;            // [size][·], rows `stride` apart: weights times values
  std::int64_t stride;
  std::int64_t size;
  // [·] score, before the scale where all of it is a scale; first the least number, or the sink.
  float* largest;
  float* weight_sums;  // [·]; first 0, or with a sink 1
};

// The scores of such a panel with some keys.
struct AttentionPanel {
  AttentionSums sums;   // what is summed already is brought to the new maximum
  float* scores;        // [keys][·], rows `stride` apart, in: q·k; undefined afterwards
  std::int64_t stride;  // of scores
  std::int64_t keys;
  std::int64_t ahead;   // position of the first query less the first key's
  bool causal;          // a query sees no keys behind its own position
  std::int64_t window;  // nor any as many positions before it, or more; 0: no such limit
  const float* bias;    // optional [queries, keys], rows `bias_stride` apart
  std::int64_t bias_stride;
  float scale;       // of scores, before all else
  float softcap;     // 0: none
  float slope;       // of alibi; 0: none
  bool only_scales;  // nothing but the scale, a positive one, is done to scores
  bool rounded;      // weights to bfloat16 before they are summed
  // Out: exp(score − largest), 0 for keys that a query does not see and from `keys` on, as a panel
  // of a product's right operand (gemm.h).
  float* weights;  // [words][·]
  std::int64_t words;
  std::int64_t per_word;  // keys in a word
};

// Some tokens of one head of linear attention, and what its memory is to be led through by; as
// GatedDeltaRuleParams, whose α are the decays and β the writes.
struct DeltaRuleTokens {
  std::int64_t tokens;
  std::int64_t key_size;
  std::int64_t value_size;
  const float* queries;   // [tokens, key_size], normalised, over sqrt(key_size)
  const float* keys;      // [tokens, key_size], normalised
  const float* products;  // [tokens] query · key
  const float* decays;    // [tokens]
  const float* writes;    // [tokens]
  const float* values;    // [tokens, value_size], rows `value_stride` apart
  std::int64_t value_stride;
  float* out;  // [tokens, value_size], rows `out_stride` apart
  std::int64_t out_stride;
};

// How a row's codes are made: value ≈ scale · (code − zero), code in 0 … max_code. One scale and
// zero for the whole row, or (per_element) one for each of its elements.
struct Affine {
  const float* scale;
  const float* zero;
  bool per_element;
  float max_code;
};

// Two uniform quantizers that meet at a threshold; as TwinQuantizeParams.
struct Twin {
  float threshold;
  float low_scale;
  float low_min;
  float low_max;
  float high_scale;
  float high_max;
};

// A few candidates of a clipping search at once: one alone would leave the processor waiting for
// itself on short groups.
constexpr int kClipTrials = 4;

struct ClipTrials {
  float scale[kClipTrials];
  float zero[kClipTrials];
  float max_code;
  float exponent;
  float log2_unit;  // errors are measured in units of 2^log2_unit, so that powers stay in range
  float limit;      // once all sums are beyond it they may be cut short
};

using UnaryKernel = void (*)(const float* in, std::int64_t n, float* out);
using BinaryKernel = void (*)(const float* a, const float* b, std::int64_t n, float* out);

struct RowKernels {
  std::int64_t lanes;  // floats in a vector

  // Exact conversions, round to nearest even; a NaN stays a (quiet) NaN.
  void (*half_to_float)(const std::uint16_t* in, std::int64_t n, float* out);
  void (*float_to_half)(const float* in, std::int64_t n, std::uint16_t* out);
  void (*bfloat_to_float)(const std::uint16_t* in, std::int64_t n, float* out);
  void (*float_to_bfloat)(const float* in, std::int64_t n, std::uint16_t* out);
  // float8_e4m3fn times a scale.
  void (*scaled_float8)(const std::uint8_t* in, float scale, std::int64_t n, float* out);

  // Copies past the caches. Null where that is no gain: with AVX2 softmax lost a tenth.
  UnaryKernel stream;

  BinaryKernel add;
  BinaryKernel subtract;
  BinaryKernel multiply;
  void (*scale)(const float* in, double factor, std::int64_t n, float* out);
  void (*scale_single)(const float* in, float factor, std::int64_t n, float* out);
  void (*softcap)(const float* in, float cap, std::int64_t n, float* out);
  UnaryKernel relu;
  UnaryKernel gelu;
  UnaryKernel gelu_tanh;
  UnaryKernel quick_gelu;
  UnaryKernel silu;
  UnaryKernel sigmoid;
  UnaryKernel tanh;
  // x [2n], out [n]; as ClampedSwigluParams.
  void (*clamped_swiglu)(const float* x, float slope, float limit, std::int64_t n, float* out);

  // weight and bias may be null.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, double eps,
                     std::int64_t n, float* out);
  void (*rms_norm)(const float* x, const float* weight, double eps, float weight_offset,
                   std::int64_t n, float* out);
  // Rotates one head: `half` pairs; channels beyond stay the caller's.
  void (*rope)(const float* x, const float* cos, const float* sin, std::int64_t half,
               bool interleaved, float* out);

  // out = exp(x) / Σ exp(x), `sink` one more of what is summed where it is not null; out may be x.
  void (*softmax)(const float* x, std::int64_t n, const float* sink, float* out);
  // log Σ exp(x)
  double (*log_sum_exp)(const float* x, std::int64_t n);
  // sum[c] += Σ_rows x[row, c], rows in order.
  void (*add_rows)(const float* x, std::int64_t rows, std::int64_t n, double* sum);
  void (*add_bfloat16_rows)(const std::uint16_t* x, std::int64_t rows, std::int64_t n, double* sum);
  // low = min(x, 0), high = max(x, 0); NaN is passed over.
  void (*range)(const float* x, std::int64_t n, float* low, float* high);

  // A step of softmax that goes through the keys some at a time.
  void (*attend)(const AttentionPanel& panel);
  // rows [queries, size], `row_stride` apart: out over the sums of the weights. Whole vectors are
  // written.
  void (*finish_attention)(const AttentionSums& sums, float* rows, std::int64_t row_stride);

  // Numbers that a memory takes, in an order of the kernel's own; zeros before the first token.
  std::int64_t (*delta_rule_memory)(std::int64_t key_size, std::int64_t value_size);
  void (*delta_rule)(const DeltaRuleTokens& tokens, float* memory);

  void (*quantize)(const float* x, const Affine& affine, std::int64_t n, std::uint8_t* codes);
  void (*dequantize)(const std::uint8_t* codes, const Affine& affine, std::int64_t n, float* out);
  void (*fake_quantize)(const float* x, const Affine& affine, std::int64_t n, float* out);
  void (*twin_quantize)(const float* x, const Twin& twin, std::int64_t n, float* out);
  // errors[t] = Σ_j m_j·|x_j − x̂_j|^exponent for each trial; m is 1 where weights is null.
  void (*clip_errors)(const float* x, const float* weights, std::int64_t n,
                      const ClipTrials& trials, float* errors);
};

// The table of each instruction set; call one only on a machine that has it.
namespace generic {
RowKernels MakeRowKernels();
}
namespace avx2 {
RowKernels MakeRowKernels();
}
namespace avx512 {
RowKernels MakeRowKernels();
}

}  // namespace ballast::cpu
