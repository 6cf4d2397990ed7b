// Element types on the device, and the step from a dtype to the type. Conversions round to nearest
// even, as on the CPU.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "native/backend/params.h"
#include "native/core/error.h"

namespace ballast::cuda {

using Half = __half;
using Bfloat = __nv_bfloat16;

template <class To, class From>
__device__ __forceinline__ To convert(From x) {
  return static_cast<To>(x);
}
template <>
__device__ __forceinline__ float convert<float, Half>(Half x) {
  return __half2float(x);
}
template <>
__device__ __forceinline__ float convert<float, Bfloat>(Bfloat x) {
  return __bfloat162float(x);
}
template <>
__device__ __forceinline__ Half convert<Half, float>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ __forceinline__ Bfloat convert<Bfloat, float>(float x) {
  return __float2bfloat16_rn(x);
}

template <class T>
struct Type {
  using type = T;
};

// Calls f(Type<T>{}) with the type of a float32, float16 or bfloat16 tensor.
template <class F>
void WithWeightType(DType dtype, F f) {
  switch (dtype) {
    case DType::kFloat16:
      return f(Type<Half>{});
    case DType::kBFloat16:
      return f(Type<Bfloat>{});
    default:
      return f(Type<float>{});
  }
}

// Calls f(Type<T>{}) with the type of an operand of products: float32 or bfloat16.
template <class F>
void WithOperandType(DType dtype, F f) {
  if (dtype == DType::kBFloat16) return f(Type<Bfloat>{});
  f(Type<float>{});
}

// Calls f(Type<T>{}) with the type of any tensor.
template <class F>
void WithType(DType dtype, F f) {
  switch (dtype) {
    case DType::kFloat64:
      return f(Type<double>{});
    case DType::kInt32:
      return f(Type<std::int32_t>{});
    case DType::kInt64:
      return f(Type<std::int64_t>{});
    case DType::kUint8:
      return f(Type<std::uint8_t>{});
    default:
      return WithWeightType(dtype, f);
  }
}

// Calls f(Type<Word>{}) with the unsigned type as wide as the dtype, for moves of whole elements.
template <class F>
void WithWord(DType dtype, F f) {
  switch (SizeOf(dtype)) {
    case 1:
      return f(Type<std::uint8_t>{});
    case 2:
      return f(Type<std::uint16_t>{});
    case 4:
      return f(Type<std::uint32_t>{});
    default:
      return f(Type<std::uint64_t>{});
  }
}

}  // namespace ballast::cuda
