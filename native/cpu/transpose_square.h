// A square of vectors, transposed in registers, in files of kernels and in others. The unnamed
// namespace keeps each file's to itself: it is compiled for that file's processors.
#pragma once

#include <utility>

namespace ballast::cpu {
namespace {

// The lanes of a and b in turns, `first` the first of each.
template <int first, class Vector, int... i>
inline Vector Interleave(Vector a, Vector b, std::integer_sequence<int, i...> lanes) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, (first + i / 2 + i % 2 * int{lanes.size()})...);
#else
  using Lanes = decltype(a < b);
  return __builtin_shuffle(a, b, Lanes{(first + i / 2 + i % 2 * int{lanes.size()})...});
#endif
}

// rows[i][j] and rows[j][i] change places: log₂ of the lanes perfect shuffles of the rows.
template <class Vector>
inline void TransposeSquare(Vector* rows) {
  constexpr int kSide = sizeof(Vector) / sizeof(rows[0][0]);
  constexpr std::make_integer_sequence<int, kSide> kLanes;
  for (int step = 1; step < kSide; step *= 2) {
    Vector shuffled[kSide];
    for (int i = 0; i < kSide / 2; ++i) {
      const Vector a = rows[i], b = rows[i + kSide / 2];
      shuffled[2 * i] = Interleave<0>(a, b, kLanes);
      shuffled[2 * i + 1] = Interleave<kSide / 2>(a, b, kLanes);
    }
    for (int i = 0; i < kSide; ++i) rows[i] = shuffled[i];
  }
}

}  // namespace
}  // namespace ballast::cpu
