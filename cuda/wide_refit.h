// Refits of scales whose groups are larger than a block of coordinate descent.
#pragma once

#include <cstdint>

#include "cuda/descent_state.h"
#include "cuda/memory.h"

namespace ballast::cuda {

class WideRefit {
 public:
  // While state.delta is still W. The residual is [out, in].
  WideRefit(const DescentState& state, float* residual);

  // Refits the scales of one group; adds what that took off each row's error to taken [out].
  void Run(std::int64_t group, double* taken);

 private:
  const DescentState& state_;
  float* const residual_;
  // u M of the group at hand [out, in]; or, where a row is one group, W M, which stays: u M is what
  // r lacks of it, in scales.
  const Scratch<float> product_;
  const Scratch<float> units_;  // [out, group size] u of the group at hand, several groups only
};

}  // namespace ballast::cuda
