// Operands and options of each backend operation, one struct an operation. Legend:
//   n tokens (rows of hidden states), in/out channels of a linear, W [out, in], x [n, in], g
//   groups.
// Activations are float32, where nothing else is said; "operand type" means float32, or bfloat16
// for what bfloat16 products alone read, which would round it; "weight type" float32, float16 or
// bfloat16. An empty View is an absent operand. Outputs never alias inputs unless a line says so.
#pragma once

#include <cstdint>

#include "native/core/view.h"

namespace ballast {

// How products are formed; sums are float32 always. kBFloat16 rounds the factors. kBFloat16x3, of
// the algebra on moments alone, makes three bfloat16 products of their two leading parts where that
// is faster than float32 products, which it is otherwise: |error| <= 2^-15·Σ|a||b| besides what
// these have (numerics.md).
enum class Precision { kFloat32, kBFloat16x3, kBFloat16 };
enum class Activation { kNone, kRelu, kGelu, kGeluTanh, kQuickGelu, kSilu, kSigmoid, kTanh };
enum class BinaryKind { kAdd, kSubtract, kMultiply };
// kOutIn: weight [out, in], y = x Wᵀ.  kInOut: weight [in, out], y = x W.
enum class WeightLayout { kOutIn, kInOut };

// out[n, out] = activation(x Wᵀ + bias) + residual, rounded to out's type. The residual may alias
// an out of float32.
struct MatmulParams {
  View x;         // [n, in] operand type
  View weight;    // weight type, as `layout` says
  View bias;      // optional [out] float32
  View residual;  // optional [n, out] float32
  View out;       // [n, out] operand type
  Activation activation = Activation::kNone;
  WeightLayout layout = WeightLayout::kOutIn;
  Precision precision = Precision::kFloat32;
};

// Batched attention over `batch` sequences of `sequence` tokens; heads lie side by side in a row.
// Query head h reads key/value head h / (heads / key_value_heads).
// score = scale·q·k, then softcap·tanh(score/softcap) if softcap > 0, then + slope_h·(key − query)
// with alibi, then + bias[b mod windows, h, query, key] for sequence b; masked where key > query
// (causal) or query − key >= window (window > 0). Weights are a softmax over the keys and, with
// sinks, one more score of the head whose value is zero: it takes its share of their sum (arXiv
// 2309.17453, section 3.3). With kBFloat16 q, k, the weights exp(score − largest so far) and v are
// rounded to bfloat16, as for any product.
struct AttentionParams {
  View query;         // [batch·sequence, heads·head_size] float32
  View key;           // [batch·sequence, key_value_heads·head_size]
  View value;         // like key
  View alibi_slopes;  // optional [heads] float32
  View bias;          // optional [windows·heads·sequence, sequence] float32
  View sinks;         // optional [heads] float32
  View out;           // shape of query, operand type
  std::int64_t sequence = 0;
  std::int64_t heads = 0;
  std::int64_t key_value_heads = 0;
  double scale = 1;
  double softcap = 0;
  std::int64_t window = 0;
  bool causal = true;
  Precision precision = Precision::kFloat32;
};

// out = (x − mean) / sqrt(var + eps) · weight + bias over each row; biased variance, float64 sums.
struct LayerNormParams {
  View x;       // [n, c] float32
  View weight;  // optional [c] float32
  View bias;    // optional [c] float32
  View out;     // [n, c] operand type
  double eps = 1e-5;
};

// out = x / sqrt(mean(x²) + eps) · (weight + weight_offset); Gemma's offset is 1.
struct RmsNormParams {
  View x;
  View weight;  // [c] float32
  View out;     // operand type
  double eps = 1e-6;
  double weight_offset = 0;
};

// Rotary position embedding on the first `2·half` channels of each head; the token at row r has
// position r mod sequence. interleaved: pairs (2i, 2i+1); otherwise (i, i+half).
struct RopeParams {
  View x;    // [n, heads·head_size] float32
  View cos;  // [>= sequence, half] float32
  View sin;  // like cos
  View out;  // like x; may alias x
  std::int64_t sequence = 0;
  std::int64_t head_size = 0;
  bool interleaved = false;
};

// Group parameters of a uniform quantizer: value ≈ scale · (code − zero), code in 0 … 2^bits − 1.
// One group per row when group_size == 0. The range includes zero.
//   asymmetric: lo = min(w,0), hi = max(w,0), scale = (hi−lo)/(2^bits−1), zero = round(−lo/scale).
//   symmetric:  a = max|w|, scale = 2a/(2^bits−1), zero = 2^(bits−1).
// All-zero groups take lo = −1, hi = +1. Rounding is half to even.
// Clipping search (clip_steps > 0): for i in 0 … clip_steps−1 shrink the range by p = 1 −
// i·clip_range/clip_steps and keep the first with the least Σ m_j·|w_j − ŵ_j|^clip_exponent, m the
// channel weights (1 if absent). Scales are rounded to scale_dtype (float32, float16, bfloat16)
// before anything is computed from them.
struct Scheme {
  int bits = 4;
  std::int64_t group_size = 0;
  bool symmetric = false;
  int clip_steps = 0;
  double clip_range = 0.8;
  double clip_exponent = 2.4;
  DType scale_dtype = DType::kFloat32;
};

struct FindScalesParams {
  View weight;           // [out, in] weight type
  View channel_weights;  // optional [in] float32, >= 0
  View scales;           // out: [out, g] float32
  View zeros;            // out: [out, g] float32 (whole numbers)
  Scheme scheme;
};

// codes = clamp(round(w / scale) + zero, 0, 2^bits − 1), half to even; where the zero is no whole
// number, clamp(round(w / scale + fraction) + whole, …) with zero = whole + fraction, |fraction| <=
// ½.
struct QuantizeParams {
  View weight;       // [out, in] weight type
  View scales;       // [out, g] float32
  View zeros;        // [out, g] float32
  View group_index;  // optional [in] int32; default j / (in / g)
  View codes;        // out: [out, in] uint8
  int bits = 4;
};

// out = scale · (code − zero), rounded to out's dtype.
struct DequantizeParams {
  View codes;
  View scales;
  View zeros;
  View group_index;  // optional
  View out;          // [out, in] weight type
};

// Weights that are stored as float8_e4m3fn, a scale for each block of block_rows × block_columns,
// of which the last ones may be cut short: out = value(code) · its scale, in float32, rounded to
// out's dtype. A code is a sign, 4 bits of exponent of bias 7 and 3 of mantissa; exponent 0 counts
// units of 2^−9, 0x7f and 0xff are NaN, nothing is infinite (source: OCP 8-bit Floating Point
// Specification; arXiv 2209.05433). Rows begin as row `first_row` of what the blocks cover.
struct DequantizeFloat8Params {
  View codes;   // [out, in] uint8
  View scales;  // [blocks, ceil(in / block_columns)] float32, blocks >= (first_row + out) /
                // block_rows
  View out;     // [out, in] weight type
  std::int64_t block_rows = 1;
  std::int64_t block_columns = 1;
  std::int64_t first_row = 0;
};

// Weights that are stored as MXFP4, float4_e2m1 in blocks of 32 along a row: out = value(code) ·
// 2^(scale − 127), in float32, rounded to out's dtype; a scale of 255 is NaN. Of a byte's two codes
// the low one is first. A code is a sign and one of 0, ½, 1, 1½, 2, 3, 4, 6 (source: OCP
// Microscaling Formats Specification, 1.0).
struct DequantizeFloat4Params {
  static constexpr std::int64_t kValues = 32;

  View codes;   // [out, in / 2] uint8
  View scales;  // [out, in / 32] uint8
  View out;     // [out, in] weight type
};

// Codes of 1 to 8 bits and the words that hold a row of them: code i takes bits i·b … i·b + b − 1
// of a stream, the lowest first, that is cut into 32-bit words; the last is filled up with zeros.
struct CodeWordsParams {
  View codes;  // [out, in] uint8; of one that needs more bits the lowest are taken
  View words;  // [out, ceil(in·bits / 32)] int32
  int bits = 4;
};

// Codes in blocks of 32 of a row, as ggml's types Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 hold them
// (source: ggml-common.h and ggml-quants.c), bytes one after the other: the scale d; unless
// symmetric the offset m = −d·zero, where symmetric blocks have the zero 2^(bits−1); of 5 bits the
// fifth ones, a 32-bit word, code i its bit i; the low four bits, codes i and i + 16 in a byte, the
// first one low. Codes of 8 bits are signed bytes, code − 128. d and m are float16.
struct CodeBlocksParams {
  static constexpr std::int64_t kValues = 32;

  View codes;   // [out, in] uint8
  View scales;  // [out, in/32] float32
  View zeros;   // [out, in/32] float32; out of an offset, −m/d in float32, 0 where either is 0
  View blocks;  // [out, in/32·bytes of a block] uint8
  int bits = 4;
  bool symmetric = true;

  // d and m.
  std::int64_t HeadBytes() const { return symmetric ? 2 : 4; }
  std::int64_t BlockBytes() const { return HeadBytes() + kValues * bits / 8; }
};

// Fake quantization of activations, dynamic unless scales/zeros are given.
// groups: per tensor (rows = all), per row, or per `group_size` channels of a row.
enum class Granularity { kTensor, kRow, kGroup };
struct FakeQuantizeParams {
  View x;            // [n, c] float32
  View scales;       // optional, static: one value, or one per channel [c]; float32
  View zeros;        // with scales
  View channel_sum;  // optional [c] float64: += Σ_rows out (what compensation needs of the result)
  View out;          // [n, c]; may alias x
  Granularity granularity = Granularity::kTensor;
  std::int64_t group_size = 0;
  int bits = 8;
  bool symmetric = false;
};

// sum[c] += Σ_rows x. Sums in float64, in an order that does not depend on the number of threads.
struct ChannelSumParams {
  View x;    // [n, c] operand type
  View sum;  // [c] float64, in and out
};

// sum += (x − shift_x)ᵀ (y − shift_y). Without y the product is symmetric: only the upper triangle
// (row <= column) is computed and written. float32 sums; `precision` says how products are formed.
struct SecondMomentParams {
  View x;        // [n, cx] operand type
  View y;        // optional [n, cy] operand type
  View shift_x;  // optional [cx] float32
  View shift_y;  // optional [cy] float32
  View sum;      // [cx, cx] or [cx, cy] float32, in and out
  Precision precision = Precision::kFloat32;
};

// The moment about a centre, from shifted sums. With A = sum/count, d = mean − shift:
//   centred: A − d_x d_yᵀ (a covariance);  else A + s_x d_yᵀ + d_x s_yᵀ + s_x s_yᵀ (a second
//   moment).
// Rank-one terms are formed in float64. symmetric: reads the upper triangle of sum, writes both.
struct MomentParams {
  View sum;      // [cx, cy] float32
  View mean_x;   // [cx] float64
  View mean_y;   // [cy] float64
  View shift_x;  // optional [cx] float32 (absent: 0)
  View shift_y;  // optional [cy] float32
  View out;      // [cx, cy] float32; may alias sum
  double count = 1;
  bool centred = false;
  bool symmetric = false;
};

// H = matrix + λ·mean(diag)·I = R Rᵀ; out = R, upper triangular with zeros below, or with `inverse`
// R⁻¹, of the same shape. Rows/columns with diag <= 0 are dead: their off-diagonals become 0, their
// diagonal what damping adds, at least 1e-6·mean(diag). When the factorisation meets a pivot that
// is not positive, λ is multiplied by 10 until it exceeds max_damping: then Error{kNumeric}.
struct FactorizeParams {
  View matrix;  // [n, n] float32 symmetric, unchanged
  View out;     // [n, n] float32
  View info;    // [1] float64: the λ that was used
  double damping = 0.01;
  double max_damping = 1;
  bool inverse = false;
};

// GPTQ (arXiv 2210.17323) given R: column after column, the code q_j is that of
// w_j + Σ_{i<j} ΔW_i R_ij / R_jj, ΔW = W − value(q), and leaves e_j = (ΔW R)_j. As published, with
// U = R⁻¹, it is w_k −= e_j U_jk for k > j, which comes to the same (arXiv 2507.18553). Group
// parameters are found on the weights as so updated when a group begins, unless `scales`/`zeros`
// are given as inputs (fixed_scales), with group_index [in].
struct GptqParams {
  View weight;           // [out, in] float32
  View factor;           // [in, in] float32, R
  View channel_weights;  // optional [in] float32 for the clipping search
  View group_index;      // optional [in] int32, only with fixed_scales
  View scales;           // [out, g] float32, in (fixed) or out
  View zeros;            // [out, g]
  View codes;            // out: [out, in] uint8
  View errors;           // out: [out, in] float32, e
  Scheme scheme;
  bool fixed_scales = false;
  Precision precision = Precision::kFloat32;  // of what goes from block to block
};

// Lowers e = Σ_o ΔW_o M ΔW_oᵀ, ΔW = W − scale·(code − zero), M = matrix + damping·mean(diag)·I,
// from given codes and scales; no step raises it. A pass takes blocks of columns; in each, first
// every group's scale moves to where e is least (rounded to the scheme's scale_dtype; it stays
// where that would not lower e), then `sweeps` times each code j in turn: code ← clamp(round(code +
// (ΔW M)_j / (scale·M_jj))); a code with M_jj <= 0 stays. Groups larger than a block are refitted
// when their first block begins. A pass that lowers e by less than `tolerance`·e is the last one.
// With steps, grids are those of super-blocks (super_block_params.h): a scale goes to the best
// multiple of its step that is at hand, the offset staying what it is, and then the offset to that
// of its own. greedy: columns come by decreasing M_jj·Σ_o w_oj², groups whole and by their sums;
// else in order. unrounded: the codes given do not matter; each code starts as W/scale + zero,
// which is exact, and one sweep rounds them all before the first pass.
struct DescendParams {
  View weight;        // [out, in] weight type
  View matrix;        // [in, in] float32 symmetric, positive semidefinite
  View scale_steps;   // optional [out, in/256] float32
  View offset_steps;  // with scale_steps
  View zeros;         // [out, g] float32, in; with steps, out too
  View scales;        // [out, g] float32, in and out
  View codes;         // [out, in] uint8, in and out
  // out: [1 + 2·rounds] float64: e at the start; then for each pass what is left of it after the
  // refits alone, and after all. Passes that did not run repeat the last.
  View errors;
  Scheme scheme;  // bits and scale_dtype
  std::int64_t rounds = 1;
  std::int64_t sweeps = 1;  // 0: codes stay
  bool refit = true;        // false: scales stay
  bool greedy = false;
  bool unrounded = false;
  double damping = 0;
  double tolerance = 0;
  Precision precision = Precision::kFloat32;  // of ΔW M
};

// Moves the scales of each row to where e = ΔW_o M ΔW_oᵀ is least, with ΔW and M as in
// DescendParams: one after the other, rounded to scale_dtype, at most by a factor of two, and only
// if that lowers e; groups in rounds until one of them takes off less than 1e-4 of what all have.
struct RefitScalesParams {
  View weight;  // [out, in] weight type
  View matrix;  // [in, in] float32 symmetric, positive semidefinite
  View codes;   // [out, in] uint8
  View zeros;   // [out, g] float32
  View scales;  // [out, g] float32, in and out
  DType scale_dtype = DType::kFloat32;
  double damping = 0;
  Precision precision = Precision::kFloat32;  // of u M
};

// Moves each row's one scale to where GPTQ's |e|² is least, which is ΔW H ΔWᵀ: its change δ makes
// |e − δ u R|² of it, u = code − zero. Rounding and limits as in RefitScalesParams. The factors of
// u R are rounded to bfloat16: a scale is off by what that costs, an error at its least by the
// square.
struct RefitSweptParams {
  View factor;  // [in, in] float32, R
  View errors;  // [out, in] float32, e of Gptq
  View codes;   // [out, in] uint8
  View zeros;   // [out, 1] float32
  View scales;  // [out, 1] float32, in and out
  DType scale_dtype = DType::kFloat32;
};

// out[o] = Δ_o M Δ_oᵀ for every row of delta; with `other`, Δ_o M other_oᵀ. float32 sums;
// `precision` says how the products of delta and M are formed.
struct QuadraticFormParams {
  View delta;   // [out, in] float32
  View matrix;  // [in, in] float32; symmetric where `other` is absent
  View other;   // optional [out, in] float32
  View out;     // [out] float64
  Precision precision = Precision::kFloat32;
};

// out[i] = Σ_j weight[i, j]·vector[j] in float64.
struct MatvecParams {
  View weight;  // [out, in] weight type
  View vector;  // [in] float64
  View out;     // [out] float64
};

// out[i, :] = table[ids[i], :]
struct EmbeddingParams {
  View ids;    // [n] int32, each in range: Error{kShape} otherwise
  View table;  // [v, c] weight type
  View out;    // [n, c] float32
};

// out[i] = −log softmax(logits[i])[targets[i]]; 0 where the target is negative.
struct CrossEntropyParams {
  View logits;   // [n, v] float32
  View targets;  // [n] int32
  View out;      // [n] float64
};

}  // namespace ballast
