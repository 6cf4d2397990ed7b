// Small dense triangular blocks in float64: the serial part of a blocked factorisation.
#pragma once

#include <cstdint>

namespace ballast::cpu {

// a [n, n] holds the upper triangle of a symmetric matrix A and receives the upper triangular R
// with A = R Rᵀ, the diagonal from last to first. False when a pivot is not a positive finite
// number.
bool ReverseCholesky(double* a, std::int64_t n);

// inverse = r⁻¹, both upper triangular [n, n]; inverse receives zeros below the diagonal.
void InvertUpper(const double* r, std::int64_t n, double* inverse);

}  // namespace ballast::cpu
