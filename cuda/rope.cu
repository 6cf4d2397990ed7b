// One block a token: four pairs of channels a thread where heads allow, and the channels beyond the
// rotated ones as they are (arXiv 2104.09864). What a thread writes it has read, so the output may
// be the input.
#include "cuda/check.h"
#include "cuda/operations.h"
#include "cuda/reduce.cuh"
#include "cuda/wide.cuh"

namespace ballast::cuda {
namespace {

struct RopeArguments {
  const float* x;
  const float* cos;
  const float* sin;
  float* out;
  unsigned sequence;
  int heads;
  int head_size;
  int half;
};

// `low` and `high` are the two halves of the pairs, or neighbours if interleaved.
template <int kWidth, bool kInterleaved>
__device__ __forceinline__ void rotate(const Floats<kWidth>& cos, const Floats<kWidth>& sin,
                                       Floats<kWidth>& low, Floats<kWidth>& high) {
  const auto at = [&](int i) -> float& { return i < kWidth ? low.of[i] : high.of[i - kWidth]; };
#pragma unroll
  for (int j = 0; j < kWidth; ++j) {
    float& first = at(kInterleaved ? 2 * j : j);
    float& second = at(kInterleaved ? 2 * j + 1 : j + kWidth);
    const float a = first, b = second;
    first = a * cos.of[j] - b * sin.of[j];
    second = b * cos.of[j] + a * sin.of[j];
  }
}

template <int kWidth, bool kInterleaved>
__global__ void rope_kernel(const RopeArguments p) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * p.heads * p.head_size;
  const std::int64_t angle = static_cast<std::int64_t>(blockIdx.x % p.sequence) * p.half;
  const int items = (p.head_size - p.half) / kWidth;  // of a head: the pairs, and the rest
  for (int index = threadIdx.x; index < p.heads * items; index += blockDim.x) {
    const int i = index % items * kWidth;
    const std::int64_t begin = row + index / items * p.head_size;
    if (i >= p.half) {
      const std::int64_t at = begin + p.half + i;
      store_floats(p.out + at, 0, load_floats<kWidth>(p.x + at));
      continue;
    }
    const std::int64_t first = begin + (kInterleaved ? 2 * i : i);
    const std::int64_t second = first + (kInterleaved ? kWidth : p.half);
    auto low = load_floats<kWidth>(p.x + first), high = load_floats<kWidth>(p.x + second);
    rotate<kWidth, kInterleaved>(load_floats<kWidth>(p.cos + angle + i),
                                 load_floats<kWidth>(p.sin + angle + i), low, high);
    store_floats(p.out + first, 0, low);
    store_floats(p.out + second, 0, high);
  }
}

template <int kWidth>
void Launch(const Context& context, const RopeArguments& p, std::int64_t rows, bool interleaved) {
  const auto blocks = static_cast<unsigned>(rows);
  const int threads = ThreadsForRow(p.heads * (p.head_size - p.half) / kWidth);
  if (interleaved) {
    rope_kernel<kWidth, true><<<blocks, threads, 0, context.stream>>>(p);
  } else {
    rope_kernel<kWidth, false><<<blocks, threads, 0, context.stream>>>(p);
  }
  CheckLaunch("rope");
}

}  // namespace

void Rope(const Context& context, const RopeParams& p) {
  const std::int64_t rows = p.x.rows(), half = p.cos.cols();
  if (rows == 0 || p.head_size == half) return;
  const RopeArguments arguments = {.x = p.x.f32(),
                                   .cos = p.cos.f32(),
                                   .sin = p.sin.f32(),
                                   .out = p.out.f32(),
                                   .sequence = static_cast<unsigned>(p.sequence),
                                   .heads = static_cast<int>(p.x.cols() / p.head_size),
                                   .head_size = static_cast<int>(p.head_size),
                                   .half = static_cast<int>(half)};
  const bool wide = p.head_size % kWide == 0 && half % kWide == 0 &&
                    AreAligned(arguments.x, arguments.cos, arguments.sin, arguments.out);
  wide ? Launch<kWide>(context, arguments, rows, p.interleaved)
       : Launch<1>(context, arguments, rows, p.interleaved);
}

}  // namespace ballast::cuda
