// Operands of what mixture-of-experts blocks have besides linears: which experts a token goes to,
// with what weights, and the sum of what they give. Legend and conventions:
// native/backend/params.h; besides, e experts, k of them for each token.
#pragma once

#include "native/backend/params.h"

namespace ballast {

// score_j of a row of logits x: exp(x_j) / Σ_i exp(x_i) over all experts, or 1 / (1 + exp(−x_j));
// in float64.
enum class Scoring { kSoftmax, kSigmoid };

// The k columns of each row with the largest choice values, largest first, of equal ones the lower
// column first; always different ones, since NaN counts as lower than everything. Without a bias
// the choice values are the logits, which both scores keep in order (arXiv 2401.04088, section
// 2.1); with one score_j + bias_j (arXiv 2412.19437, section 2.1.2).
// With groups, `groups` runs of as many columns each, only columns of the `kept_groups` best count.
// What a group is worth is the sum of its `best_of_group` largest choice values: one of them by
// arXiv 2405.04434, section 2.2.2, two by 2412.19437. NaN and equal values are as among columns.
struct ChooseExpertsParams {
  static constexpr std::int64_t kMostGroups = 64;

  View logits;  // [n, e] float32
  View bias;    // optional [e] float32
  View chosen;  // out: [n, k] int32, 1 <= k <= columns that count
  Scoring scoring = Scoring::kSoftmax;
  std::int64_t groups = 1;
  std::int64_t kept_groups = 1;
  std::int64_t best_of_group = 1;  // 1 or 2, and no more than a group has
};

// out[t, j] = scale · score of expert chosen[t, j]. normalized: softmax is taken over the chosen
// logits alone, which is the scores over their sum but never 0 / 0; sigmoids are divided by their
// sum + 1e-20.
struct ExpertWeightsParams {
  static constexpr double kLeastSum = 1e-20;

  View logits;  // [n, e] float32
  View chosen;  // [n, k] int32, each in range: Error{kShape} otherwise
  View out;     // [n, k] float32
  Scoring scoring = Scoring::kSoftmax;
  bool normalized = false;
  double scale = 1;
};

// out[t, i] = (u + 1) · g · σ(slope·g), with g = min(x[t, 2i], limit) and u = x[t, 2i + 1] within
// ±limit: what the last linear of an expert of gpt-oss reads (arXiv 2508.10925). A NaN stays one.
struct ClampedSwigluParams {
  View x;    // [m, 2c] float32
  View out;  // [m, c] operand type
  double slope = 1.702;
  double limit = 7;
};

// sum[t] += weights[t, j] · y[i] for slots[i] = t·k + j: row i of y is what the j-th expert of
// token t gave. No token may occur twice, so that rows can be added side by side.
struct AddExpertParams {
  View sum;      // [n, c] float32, in and out
  View y;        // [m, c] float32
  View slots;    // [m] int32, each in 0 … n·k − 1: Error{kShape} otherwise
  View weights;  // [n, k] float32
};

}  // namespace ballast
