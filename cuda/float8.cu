// Weights stored as float8_e4m3fn: a thread makes an element of its code and its block's scale.
// Semantics: native/backend/params.h.
#include "cuda/grid_loop.cuh"
#include "cuda/numbers.cuh"
#include "cuda/operations.h"

namespace ballast::cuda {
namespace {

// As a whole number of units of 2^−10, which keeps to what all compilers know.
__device__ __forceinline__ float float8_value(std::uint32_t code) {
  const std::uint32_t magnitude = code & 0x7f, exponent = magnitude >> 3, mantissa = code & 7;
  const std::uint32_t units = exponent == 0 ? mantissa << 1 : (8 + mantissa) << exponent;
  const float value = magnitude == 0x7f ? NAN : static_cast<float>(units) * 0x1p-10f;
  return (code & 0x80) == 0 ? value : -value;
}

template <class T>
void DequantizeTo(const Context& context, const DequantizeFloat8Params& p) {
  const std::int64_t columns = p.codes.cols(), width = p.scales.cols();
  const std::int64_t block_rows = p.block_rows, block_columns = p.block_columns;
  const std::int64_t first_row = p.first_row;
  const std::uint8_t* codes = p.codes.u8();
  const float* scales = p.scales.f32();
  T* out = p.out.as<T>();
  ForEach(context, "dequantizeFloat8", p.codes.shape.elements(), [=] __device__(std::int64_t i) {
    const std::int64_t row = i / columns, column = i % columns;
    const std::int64_t block = (first_row + row) / block_rows * width + column / block_columns;
    out[i] = convert<T>(float8_value(codes[i]) * scales[block]);
  });
}

}  // namespace

void DequantizeFloat8(const Context& context, const DequantizeFloat8Params& p) {
  WithWeightType(p.out.dtype,
                 [&](auto type) { DequantizeTo<typename decltype(type)::type>(context, p); });
}

}  // namespace ballast::cuda
