// out[i] = f(a[i], …) over whole tensors, four numbers of each at a time where all begin at a
// multiple of as many bytes.
#pragma once

#include "cuda/grid_loop.cuh"
#include "cuda/wide.cuh"

namespace ballast::cuda {

// An operand as large as the result.
struct Whole {
  const float* data;
  bool IsWide() const { return AreAligned(data); }
  template <int kWidth>
  __device__ __forceinline__ Floats<kWidth> at(std::int64_t word) const {
    return load_floats<kWidth>(data, word);
  }
};

// An operand that repeats after `period` numbers.
struct Repeated {
  const float* data;
  std::int64_t period;
  bool IsWide() const { return AreAligned(data) && period % kWide == 0; }
  template <int kWidth>
  __device__ __forceinline__ Floats<kWidth> at(std::int64_t word) const {
    return load_floats<kWidth>(data, word % (period / kWidth));
  }
};

// One number for all.
struct Single {
  const float* data;
  bool IsWide() const { return true; }
  template <int kWidth>
  __device__ __forceinline__ Floats<kWidth> at(std::int64_t) const {
    Floats<kWidth> word;
#pragma unroll
    for (float& x : word.of) x = *data;
    return word;
  }
};

template <int kWidth, class F, class... In>
__device__ __forceinline__ Floats<kWidth> apply(const F& f, const In&... in) {
  Floats<kWidth> out;
#pragma unroll
  for (int i = 0; i < kWidth; ++i) out.of[i] = f(in.of[i]...);
  return out;
}

template <int kWidth, class F, class Out, class... In>
__global__ void map_kernel(std::int64_t count, F f, Out* out, In... in) {
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  const std::int64_t words = count / kWidth;
  for (std::int64_t i = first; i < words; i += stride) {
    store_floats(out, i, apply<kWidth>(f, in.template at<kWidth>(i)...));
  }
  const std::int64_t rest = words * kWidth + first;
  if (rest < count) store_floats(out, rest, apply<1>(f, in.template at<1>(rest)...));
}

// f is a device function of as many numbers as there are operands; its results are rounded to Out.
template <class F, class Out, class... In>
void Map(const Context& context, const char* operation, std::int64_t count, Out* out, F f,
         In... in) {
  if (count == 0) return;
  if (AreAligned(out) && (... && in.IsWide())) {
    const unsigned blocks = BlocksFor(context, DivideUp(count, kWide));
    map_kernel<kWide><<<blocks, kThreads, 0, context.stream>>>(count, f, out, in...);
  } else {
    const unsigned blocks = BlocksFor(context, count);
    map_kernel<1><<<blocks, kThreads, 0, context.stream>>>(count, f, out, in...);
  }
  CheckLaunch(operation);
}

}  // namespace ballast::cuda
