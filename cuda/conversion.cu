// Casts go through float32, or through float64 where the result is float64, so that each value is
// rounded once (float64 to float16 twice, as everywhere).
#include "cuda/grid_loop.cuh"
#include "cuda/numbers.cuh"
#include "cuda/operations.h"
#include "cuda/reduce.cuh"
#include "native/backend/value_errors.h"

namespace ballast::cuda {
namespace {

template <class To, class From>
__device__ __forceinline__ To cast_element(From x) {
  if constexpr (std::is_same_v<To, double> && sizeof(From) != 2) {
    return static_cast<double>(x);
  } else {  // float16 and bfloat16 are float32 numbers
    return convert<To>(convert<float>(x));
  }
}

template <class From, class To>
void Convert(const Context& context, const ConversionParams& p) {
  const From* in = p.in.as<From>();
  To* out = p.out.as<To>();
  ForEach(context, "cast", p.in.shape.elements(),
          [=] __device__(std::int64_t i) { out[i] = cast_element<To>(in[i]); });
}

// Neither NaN nor infinity has any exponent but the largest. Counts are whole: any order gives the
// same sum.
template <class Word>
__global__ void count_exponents_kernel(const Word* words, std::int64_t n, Word mask,
                                       double* count) {
  std::int64_t own = 0;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n;
       i += static_cast<std::int64_t>(gridDim.x) * blockDim.x) {
    own += (words[i] & mask) == mask;
  }
  const double sum = block_reduce(static_cast<double>(own), Sum{}, 0.0);
  if (threadIdx.x == 0 && sum > 0) atomicAdd(count, sum);
}

template <class Word>
void CountExponents(const Context& context, const ConversionParams& p, Word mask) {
  const std::int64_t n = p.in.shape.elements();
  if (n == 0) return;
  count_exponents_kernel<<<BlocksFor(context, n), kThreads, 0, context.stream>>>(p.in.as<Word>(), n,
                                                                                 mask, p.out.f64());
  CheckLaunch("countNonFinite");
}

}  // namespace

void Cast(const Context& context, const ConversionParams& params) {
  if (params.in.dtype == params.out.dtype) {
    if (params.in.byte_count() == 0) return;
    return Check(cudaMemcpyAsync(params.out.bytes, params.in.bytes, params.in.byte_count(),
                                 cudaMemcpyDeviceToDevice, context.stream),
                 "copying");
  }
  if (params.out.dtype != DType::kFloat64 && !IsWeightType(params.out.dtype)) {
    throw NoFloatError(params.out.dtype);
  }
  WithType(params.in.dtype, [&](auto from) {
    using From = typename decltype(from)::type;
    if (params.out.dtype == DType::kFloat64) return Convert<From, double>(context, params);
    WithWeightType(params.out.dtype,
                   [&](auto to) { Convert<From, typename decltype(to)::type>(context, params); });
  });
}

void CountNonFinite(const Context& context, const ConversionParams& params) {
  Check(cudaMemsetAsync(params.out.bytes, 0, sizeof(double), context.stream), "counting");
  switch (params.in.dtype) {
    case DType::kFloat16:
      return CountExponents<std::uint16_t>(context, params, 0x7c00);
    case DType::kBFloat16:
      return CountExponents<std::uint16_t>(context, params, 0x7f80);
    case DType::kFloat32:
      return CountExponents<std::uint32_t>(context, params, 0x7f800000u);
    case DType::kFloat64:
      return CountExponents<std::uint64_t>(context, params, 0x7ff0000000000000ull);
    default:
      return;  // integers are finite
  }
}

}  // namespace ballast::cuda
