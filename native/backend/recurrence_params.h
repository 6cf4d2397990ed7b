// Operands of linear attention, whose memory of the tokens before is a matrix of fixed size for
// each head (the gated delta rule, arXiv 2412.06464). Legend and conventions:
// native/backend/params.h.
#pragma once

#include "native/backend/params.h"

namespace ballast {

// out[t, c] = activation(Σ_j weight[c, j] · x[t − (taps − 1) + j, c]) over the tokens of t's own
// sequence: each channel with its own weights, the last of which meets the token itself.
struct CausalConvolutionParams {
  View x;       // [n, c] float32
  View weight;  // [c, taps] float32
  View out;     // [n, c] float32
  std::int64_t sequence = 0;
  Activation activation = Activation::kNone;
};

// Value head h reads key head h / (value_heads / key_heads). With q and k of a token, each divided
// by sqrt(its sum of squares + kEps), S [key_size, value_size] zero before a sequence's first
// token,
//   α = exp(−exp(log_rate_h) · log(1 + exp(decay_h + decay_bias_h))),  β = 1 / (1 + exp(−write_h)),
//   S ← α S + k (β (v − α Sᵀ k))ᵀ,  out = Sᵀ q / sqrt(key_size)
// (equation 10 there). Sums of squares, q·k, α and β are float64, the memory S is float32.
struct GatedDeltaRuleParams {
  static constexpr double kEps = 1e-6;

  View mixed;       // [n, 2·key_heads·key_size + value_heads·value_size] float32: all q, k, v
  View decay;       // [n, value_heads] float32
  View write;       // [n, value_heads] float32
  View log_rate;    // [value_heads] float32
  View decay_bias;  // [value_heads] float32
  View out;         // [n, value_heads·value_size] float32
  std::int64_t sequence = 0;
  std::int64_t key_heads = 0;
  std::int64_t key_size = 0;
};

}  // namespace ballast
