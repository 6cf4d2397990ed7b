// Inner loops over one row (or a few) of numbers: the row-wise half of the kernel table. `n` counts
// elements; rows need no alignment; outputs may alias inputs of the same type exactly.
#pragma once

#include <cstdint>

namespace ballast::cpu {

// One block of queries of one head against all keys that any of them may see.
struct AttentionBlock {
  const float* query;         // first row, already at the head's first channel
  const float* packed_key;    // as PackKeys left it
  const float* packed_value;  // as PackValues left it
  const float* bias;          // on scores: the first query's row [sequence]; or null
  float* out;                 // first row, like query
  float* scratch;             // AttentionScratch(padded_head) floats, 64-byte aligned
  std::int64_t row_stride;    // of query and out, in floats
  std::int64_t first_query;   // position in the sequence
  std::int64_t queries;       // 1 … kQueryBlock
  std::int64_t sequence;
  std::int64_t head_size;
  std::int64_t padded_head;  // head_size rounded up to the lanes
  std::int64_t window;       // 0: none
  float scale;
  float softcap;  // 0: none
  float slope;    // of alibi; 0: none
  bool causal;
};

constexpr std::int64_t kQueryBlock = 32;
constexpr std::int64_t kKeyTile = 128;

// Floats of scratch a block needs: scores, queries, outputs, row maxima and sums.
constexpr std::int64_t AttentionScratch(std::int64_t padded_head) {
  return kQueryBlock * (kKeyTile + 2 * padded_head + 2);
}

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

  BinaryKernel add;
  BinaryKernel subtract;
  BinaryKernel multiply;
  void (*scale)(const float* in, double factor, std::int64_t n, float* out);
  void (*softcap)(const float* in, float cap, std::int64_t n, float* out);
  UnaryKernel relu;
  UnaryKernel gelu;
  UnaryKernel gelu_tanh;
  UnaryKernel quick_gelu;
  UnaryKernel silu;
  UnaryKernel tanh;

  // weight and bias may be null.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, double eps,
                     std::int64_t n, float* out);
  void (*rms_norm)(const float* x, const float* weight, double eps, float weight_offset,
                   std::int64_t n, float* out);
  // Rotates one head: `half` pairs; channels beyond stay the caller's.
  void (*rope)(const float* x, const float* cos, const float* sin, std::int64_t half,
               bool interleaved, float* out);

  // out = exp(x) / Σ exp(x); out may be x.
  void (*softmax)(const float* x, std::int64_t n, float* out);
  // log Σ exp(x)
  double (*log_sum_exp)(const float* x, std::int64_t n);
  // sum[c] += Σ_rows x[row, c], rows in order.
  void (*add_rows)(const float* x, std::int64_t rows, std::int64_t n, double* sum);
  // low = min(x, 0), high = max(x, 0); NaN is passed over.
  void (*range)(const float* x, std::int64_t n, float* low, float* high);

  // Keys of one head into panels of 2·lanes keys, channel by channel; values into rows of
  // padded_head. `keys` rows are read, rows up to the next multiple of 2·lanes become zero.
  void (*pack_keys)(const float* key, std::int64_t stride, std::int64_t keys,
                    std::int64_t head_size, float* packed);
  void (*pack_values)(const float* value, std::int64_t stride, std::int64_t keys,
                      std::int64_t head_size, std::int64_t padded_head, float* packed);
  void (*attend)(const AttentionBlock& block);

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
