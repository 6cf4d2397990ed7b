// The grid of values that a uniform quantizer can represent, found from a range of numbers. Shared
// by weights and activations; definition: Scheme in native/backend/params.h.
#pragma once

#include <cstdint>

#include "native/backend/params.h"
#include "native/cpu/kernels/kernels.h"

namespace ballast::cpu {

struct Interval {
  float low = 0;   // never above zero
  float high = 0;  // never below zero
};

struct Grid {
  float scale;
  float zero;
};

float MaxCode(int bits);

// A scale rounded to `dtype`, or to the nearest positive finite number that this can hold.
float StoredScale(const Kernels& kernels, DType dtype, float scale);

Interval RangeOf(const Kernels& kernels, const float* x, std::int64_t n);

// A range of nothing but zeros is taken as −1 … 1. The scale is a StoredScale.
Grid GridOf(const Kernels& kernels, const Scheme& scheme, Interval range);

}  // namespace ballast::cpu
