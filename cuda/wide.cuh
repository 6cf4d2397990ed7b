// Float32 numbers 16 bytes at a time: one number a thread is too little under way at once to fill
// the bandwidth of a GPU's memory. Kernels are templates on the width; width 1 serves tensors whose
// rows do not begin at multiples of 16 bytes.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace ballast::cuda {

constexpr int kWide = 4;

template <int kWidth>
struct alignas(kWidth * sizeof(float)) Floats {
  float of[kWidth];
};

// Word number `word`.
template <int kWidth>
__device__ __forceinline__ Floats<kWidth> load_floats(const float* from, std::int64_t word = 0) {
  return reinterpret_cast<const Floats<kWidth>*>(from)[word];
}
template <int kWidth>
__device__ __forceinline__ void store_floats(float* to, std::int64_t word,
                                             const Floats<kWidth>& x) {
  reinterpret_cast<Floats<kWidth>*>(to)[word] = x;
}

// f(position in the word, number) for words first, first + stride, …; several are under way at
// once, as reductions need it, whose loads nothing else overlaps.
template <int kWidth, class Index, class F>
__device__ __forceinline__ void for_words(const float* x, Index words, Index first, Index stride,
                                          F f) {
  constexpr int kTogether = 4;
  for (; first < words; first += kTogether * stride) {
    Floats<kWidth> word[kTogether];
#pragma unroll
    for (int k = 0; k < kTogether; ++k) {
      if (first + k * stride < words) word[k] = load_floats<kWidth>(x, first + k * stride);
    }
#pragma unroll
    for (int k = 0; k < kTogether; ++k) {
      if (first + k * stride >= words) break;
#pragma unroll
      for (int j = 0; j < kWidth; ++j) f(j, word[k].of[j]);
    }
  }
}

// Whether wide words may be read from these addresses; an absent operand's null may.
template <class... T>
bool AreAligned(const T*... data) {
  return (... && (reinterpret_cast<std::uintptr_t>(data) % (kWide * sizeof(float)) == 0));
}

}  // namespace ballast::cuda
