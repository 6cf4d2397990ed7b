// A square of vectors, transposed in registers.
#pragma once

#include "native/cpu/kernels/vector.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

// Interleaves a and b; their first halves, then their second.
#if defined(__AVX512F__)
#define BALLAST_FIRST 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define BALLAST_SECOND 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif defined(__AVX2__)
#define BALLAST_FIRST 0, 8, 1, 9, 2, 10, 3, 11
#define BALLAST_SECOND 4, 12, 5, 13, 6, 14, 7, 15
#else
#define BALLAST_FIRST 0, 4, 1, 5
#define BALLAST_SECOND 2, 6, 3, 7
#endif
#if defined(__clang__)
#define BALLAST_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define BALLAST_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, Ints{__VA_ARGS__})
#endif

// Transposes a square: log₂ kLanes perfect shuffles of its rows.
inline void TransposeSquare(Floats* rows) {
  for (int step = 1; step < kLanes; step *= 2) {
    Floats shuffled[kLanes];
    for (int i = 0; i < kLanes / 2; ++i) {
      const Floats a = rows[i];
      const Floats b = rows[i + kLanes / 2];
      shuffled[2 * i] = BALLAST_SHUFFLE(a, b, BALLAST_FIRST);
      shuffled[2 * i + 1] = BALLAST_SHUFFLE(a, b, BALLAST_SECOND);
    }
    for (int i = 0; i < kLanes; ++i) rows[i] = shuffled[i];
  }
}
#undef BALLAST_FIRST
#undef BALLAST_SECOND
#undef BALLAST_SHUFFLE

}  // namespace
}  // namespace ballast::cpu::BALLAST_ISA
