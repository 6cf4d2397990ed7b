// When a moment that cannot be factorised is damped more, and when that is given up: the same on
// every backend, so that a run goes the same way on each.
#pragma once

#include <algorithm>
#include <string>

#include "native/backend/params.h"
#include "native/core/error.h"

namespace ballast {

// Of the mean diagonal: what damps channels that are dead where nothing else does.
constexpr double kLeastDamping = 1e-6;

// The first damping, from the given one on and tenfold each time, for which factor(damping) is
// true. Error{kNumeric} beyond the largest one.
template <class Factor>
double FactorDamped(const FactorizeParams& params, Factor factor) {
  constexpr double kLeastIncrease = 1e-5;  // where damping 0 goes first
  double damping = params.damping;
  while (!factor(damping)) {
    damping = std::max(10 * damping, kLeastIncrease);
    if (damping > params.max_damping) {
      throw Error(ErrorCode::kNumeric,
                  "The second moment is not positive definite even with damping " +
                      std::to_string(params.max_damping) +
                      "; use more calibration samples or a larger damping.");
    }
  }
  return damping;
}

}  // namespace ballast
