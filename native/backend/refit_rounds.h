// When a refit of scales that depend on each other is over: the same on every backend, so that a
// run goes the same way on each.
#pragma once

namespace ballast {

// A row's scales are gone through until a round takes off no more than this share of what all have.
constexpr double kLeastRefitShare = 1e-4;
constexpr int kMostRefitRounds = 64;

}  // namespace ballast
