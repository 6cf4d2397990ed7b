// Rows of weights as float32, whatever they are stored as.
#pragma once

#include <cstddef>
#include <cstdint>

#include "native/core/view.h"
#include "native/cpu/kernels/kernels.h"

namespace ballast::cpu {

// Converts n elements from `first` on. Any dtype; a float32 source is copied.
void ReadFloats(const Kernels& kernels, const View& in, std::int64_t first, std::int64_t n,
                float* out);

// Rounds n floats to out's dtype (a float dtype), writing from element `first` on.
void WriteFloats(const Kernels& kernels, const float* in, std::int64_t n, const View& out,
                 std::int64_t first);

// Whether results are not made where they belong, but aside and written from there: they have
// another dtype than float32, or are more than caches hold. Stores to these would read from memory
// what they overwrite, so they go past the caches, where that pays (row_kernels.h).
bool IsMadeAside(const Kernels& kernels, const View& out);
void WriteAside(const Kernels& kernels, const float* in, std::int64_t n, const View& out,
                std::int64_t first);

// x as it would be stored in `dtype` (float32, float16, bfloat16).
float RoundTo(const Kernels& kernels, DType dtype, float x);

}  // namespace ballast::cpu
