// How many passes a descent makes, and what it must not do: the same on every backend.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>

#include "native/backend/params.h"
#include "native/core/error.h"

namespace ballast {

// Every step is exact, so a pass that raises the error is a defect, unless the rise is no more than
// rounding() says that sums may be off by.
template <class Rounding>
void ExpectNoRise(double before, double after, Rounding rounding) {
  if (after <= before * (1 + 1e-5)) return;
  if (std::isnan(after)) {
    throw Error(ErrorCode::kNumeric,
                "The weight or the second moment holds values that are not finite.");
  }
  if (after - before <= rounding()) return;
  throw Error(ErrorCode::kNumeric, "Coordinate descent raised the error from " +
                                       std::to_string(before) + " to " + std::to_string(after) +
                                       "; this is a defect: please report it.");
}

// Fills errors [1 + 2·rounds], see DescendParams: error() is e as it stands, pass() makes one and
// returns what its refits took off e. Error{kNumeric} for values that are not finite.
template <class TotalError, class Pass, class Rounding>
void DescendPasses(const DescendParams& params, std::span<double> errors, TotalError error,
                   Pass pass, Rounding rounding) {
  std::size_t step = 0;
  errors[0] = error();
  while (step + 2 < errors.size()) {
    errors[step + 1] = errors[step] - pass();
    errors[step + 2] = error();
    ExpectNoRise(errors[step], errors[step + 2], rounding);
    step += 2;
    if (errors[step - 2] - errors[step] <= params.tolerance * errors[step - 2]) break;
  }
  std::fill(errors.begin() + step, errors.end(), errors[step]);
}

}  // namespace ballast
