// Refits of scales whose groups are larger than a block of coordinate descent.
#pragma once

#include <cstdint>

#include "native/cpu/descent_state.h"

namespace ballast::cpu {

// out [in, padded] = M[·, begin … end − 1] x, x [end − begin, padded].
void MultiplyByMatrix(const DescentState& state, std::int64_t begin, std::int64_t end,
                      const float* x, float* out);

class WideRefit {
 public:
  // While state.delta is still W. The residual is [in, padded].
  WideRefit(DescentState& state, float* residual);

  // Refits the scales of one group; taken is [padded].
  void Run(std::int64_t group, Scratch<double>& taken);

 private:
  // Some rows, from `first` on.
  struct Rows {
    std::int64_t first, count;
  };
  void RunRows(std::int64_t group, const Rows& rows, Scratch<double>& taken);
  RefitColumn Column(std::int64_t column, std::int64_t group, const Rows& rows,
                     const float* inverses);

  DescentState& state_;
  float* const residual_;
  // u M of the group at hand [in, padded]; or, where a row is one group, W M, which stays: u M is
  // what r lacks of it, in scales.
  Scratch<float> product_;
  Scratch<float> units_;  // [group size, padded] u of the group at hand, several groups only
};

}  // namespace ballast::cpu
