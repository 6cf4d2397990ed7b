// Numbers four at a time, 16 bytes of float32 or 8 of bfloat16: one number a thread is too little
// under way at once to fill the bandwidth of a GPU's memory. Kernels are templates on the width;
// width 1 serves tensors whose rows do not begin at multiples of that.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/numbers.cuh"

namespace ballast::cuda {

constexpr int kWide = 4;

template <class T, int kWidth>
struct alignas(kWidth * sizeof(T)) Word {
  T of[kWidth];
};
template <int kWidth>
using Floats = Word<float, kWidth>;

// Word number `word`.
template <int kWidth, class T>
__device__ __forceinline__ Floats<kWidth> load_floats(const T* from, std::int64_t word = 0) {
  const auto stored = reinterpret_cast<const Word<T, kWidth>*>(from)[word];
  Floats<kWidth> x;
#pragma unroll
  for (int i = 0; i < kWidth; ++i) x.of[i] = convert<float>(stored.of[i]);
  return x;
}
template <int kWidth>
__device__ __forceinline__ void store_floats(float* to, std::int64_t word,
                                             const Floats<kWidth>& x) {
  reinterpret_cast<Floats<kWidth>*>(to)[word] = x;
}

// Two numbers in bfloat16, the first one in the lower half: one instruction rounds both.
__device__ __forceinline__ unsigned round_pair(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const unsigned*>(&pair);
}
// Rounded. A word is written as one integer: where writes follow a branch, nvcc takes structs
// apart.
template <int kWidth>
__device__ __forceinline__ void store_floats(Bfloat* to, std::int64_t word,
                                             const Floats<kWidth>& x) {
  if constexpr (kWidth == 1) {
    to[word] = convert<Bfloat>(x.of[0]);
  } else if constexpr (kWidth == 2) {
    reinterpret_cast<unsigned*>(to)[word] = round_pair(x.of[0], x.of[1]);
  } else {
    static_assert(kWidth == kWide);
    const unsigned low = round_pair(x.of[0], x.of[1]), high = round_pair(x.of[2], x.of[3]);
    reinterpret_cast<std::uint64_t*>(to)[word] = std::uint64_t{high} << 32 | low;
  }
}

// f(position in the word, number) for words first, first + stride, …; several are under way at
// once, as reductions need it, whose loads nothing else overlaps.
template <int kWidth, class T, class Index, class F>
__device__ __forceinline__ void for_words(const T* x, Index words, Index first, Index stride, F f) {
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
  return (... && (reinterpret_cast<std::uintptr_t>(data) % (kWide * sizeof(T)) == 0));
}

}  // namespace ballast::cuda
