// Activation functions of one element, in the forms that keep small negative tails precise: the
// same as native/cpu/kernels/row_elementwise.cc, with CUDA's own exp, tanh and erf (2 units of the
// last place at most).
#pragma once

#include "native/backend/params.h"

namespace ballast::cuda {

__device__ __forceinline__ float activate_element(Activation kind, float x) {
  switch (kind) {
    case Activation::kRelu:
      return x < 0 ? 0.0f : x;  // keeps a NaN
    case Activation::kGelu:
      return x * 0.5f * (erff(x * 0.707106781f) + 1.0f);
    case Activation::kGeluTanh:
      return x / (expf(x * (x * x * 0.044715f + 1.0f) * -1.59576912f) + 1.0f);
    case Activation::kQuickGelu:
      return x / (expf(x * -1.702f) + 1.0f);
    case Activation::kSilu:
      return x / (expf(-x) + 1.0f);
    case Activation::kSigmoid:
      return 1.0f / (expf(-x) + 1.0f);
    case Activation::kTanh:
      return tanhf(x);
    default:
      return x;
  }
}

}  // namespace ballast::cuda
