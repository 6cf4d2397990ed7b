// Whole numbers divided and rounded upwards: how many parts cover something, and how much they are.
#pragma once

#include <cstdint>

namespace ballast {

inline std::int64_t DivideUp(std::int64_t n, std::int64_t part) { return (n + part - 1) / part; }

inline std::int64_t RoundUp(std::int64_t n, std::int64_t part) { return DivideUp(n, part) * part; }

}  // namespace ballast
