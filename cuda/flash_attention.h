// Attention with bfloat16 factors on the tensor cores, for heads of up to 256 channels.
#pragma once

#include "cuda/attention_arguments.cuh"
#include "cuda/context.h"
#include "native/core/view.h"

namespace ballast::cuda {

// out = Σ_j w_j v_j with q, k, v and the weights before their division rounded to bfloat16; scores,
// sums and the division are float32. The weights are divided by the sum of what they were rounded
// to, so that they sum to one. With u = 2^-8, bfloat16's rounding, and E = scale·Σ_d |q_d k_d| of
// the key where that is largest: scores are off by E·(2u + u²) at most (soft-capping never widens
// that) and weights relatively by twice as much and by 2u, so that
//   |error| <= (exp(4.01·u·E)·(1 + 3.02·u) − 1 + sequence·2^-26)·Σ_j w_j |v_j|,
// the last term for the sums, which tensor cores cut at every 16 keys.
// result: like the query, operand type.
void FlashAttention(const Context& context, const AttentionArguments& arguments,
                    const View& result);

}  // namespace ballast::cuda
