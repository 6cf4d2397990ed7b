// Operands of what attention and activations are made of where each step is wanted by itself: to
// quantize the operands of attention's products, and to run blocks backwards. Legend and
// conventions: native/backend/params.h; besides, b sequences of T tokens, scores [b·heads·T, T]
// with a row for each (sequence, head, query).
#pragma once

#include "native/backend/params.h"

namespace ballast {

// The products over heads that lie side by side in rows of tokens, for each sequence and head by
// itself:
//   kScores  out = scale · X Yᵀ   x [b·T, heads·d], y [b·T, kv·d]        → scores
//   kMix     out = scale · X Y    x scores, y [b·T, kv·d]                → [b·T, heads·d]
//   kSpread  out = scale · Xᵀ Y   x scores, y [b·T, heads·d], kv = heads → [b·T, heads·d]
enum class HeadProductKind { kScores, kMix, kSpread };
struct HeadProductParams {
  View x;
  View y;
  View out;
  HeadProductKind kind = HeadProductKind::kScores;
  std::int64_t sequence = 0;
  std::int64_t heads = 0;
  std::int64_t key_value_heads = 0;
  double scale = 1;
  Precision precision = Precision::kFloat32;
};

// out = softmax over each row of scores, capped, biased and masked as AttentionParams says, sinks
// in its sum; 0 where masked.
struct SoftmaxParams {
  View scores;
  View alibi_slopes;  // optional [heads] float32
  View bias;          // optional [windows·heads·T, T] float32
  View sinks;         // optional [heads] float32
  View out;           // may alias scores
  std::int64_t heads = 0;
  double softcap = 0;
  std::int64_t window = 0;
  bool causal = false;
};

// Two uniform quantizers that meet at a threshold (twin uniform quantization, arXiv 2111.12293):
//   x < threshold: out = low_scale · clamp(round(x / low_scale), low_min, low_max)
//   else:          out = high_scale · clamp(round(x / high_scale), 0, high_max).   Half to even.
struct TwinQuantizeParams {
  View x;    // float32
  View out;  // may alias x
  double threshold = 0;
  double low_scale = 1;
  double low_min = 0;
  double low_max = 0;
  double high_scale = 1;
  double high_max = 0;
};

// Gradients of a scalar with respect to an operation's input, given that with respect to its output
// (`gradient`). Softmax: out = P ∘ (gradient − Σ_row P ∘ gradient), P the operation's output.
struct SoftmaxGradientParams {
  View probabilities;
  View gradient;
  View out;
};

// With x̂ = (x − mean)·r, r = 1/sqrt(var + eps), g = gradient ∘ weight: out = r·(g − mean(g) −
// x̂·mean(g ∘ x̂)).
struct LayerNormGradientParams {
  View x;       // [n, c]
  View weight;  // optional [c]
  View gradient;
  View out;
  double eps = 1e-5;
};

// out = gradient ∘ activation'(x).
struct ActivationGradientParams {
  View x;
  View gradient;
  View out;
  Activation activation = Activation::kNone;
};

}  // namespace ballast
