// Weights stored as MXFP4: a thread makes the two elements of a byte. Semantics:
// native/backend/params.h.
#include "cuda/grid_loop.cuh"
#include "cuda/numbers.cuh"
#include "cuda/operations.h"

namespace ballast::cuda {
namespace {

// In units of ½: 0, 1, 2, 3, 4, 6, 8, 12, the bits of a nibble each.
__device__ __forceinline__ float float4_value(std::uint32_t code) {
  const auto units = static_cast<float>((0xc8643210u >> (code & 7) * 4) & 15);
  return (code & 8) == 0 ? units * 0.5f : units * -0.5f;
}

__device__ __forceinline__ float scaled(std::uint32_t code, int scale) {
  return scale == 255 ? NAN : ldexpf(float4_value(code), scale - 127);
}

template <class T>
void DequantizeTo(const Context& context, const DequantizeFloat4Params& p) {
  constexpr std::int64_t kBytes = DequantizeFloat4Params::kValues / 2;
  const std::uint8_t* codes = p.codes.u8();
  const std::uint8_t* scales = p.scales.u8();
  T* out = p.out.as<T>();
  ForEach(context, "dequantizeFloat4", p.codes.shape.elements(), [=] __device__(std::int64_t i) {
    const int scale = scales[i / kBytes];
    out[2 * i] = convert<T>(scaled(codes[i] & 15, scale));
    out[2 * i + 1] = convert<T>(scaled(codes[i] >> 4, scale));
  });
}

}  // namespace

void DequantizeFloat4(const Context& context, const DequantizeFloat4Params& p) {
  WithWeightType(p.out.dtype,
                 [&](auto type) { DequantizeTo<typename decltype(type)::type>(context, p); });
}

}  // namespace ballast::cuda
