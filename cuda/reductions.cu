// The rows are cut into chunks whose number depends on the shape alone. A block sums one chunk of a
// warp's words of channels in float64, each of its warps a part of the chunk; chunks are added up
// in the same way by a second launch. So no run differs from another in any digit.
#include "cuda/check.h"
#include "cuda/memory.h"
#include "cuda/operations.h"
#include "cuda/reduce.cuh"
#include "cuda/reductions.h"
#include "cuda/wide.cuh"

namespace ballast::cuda {
namespace {

constexpr int kParts = 8;
constexpr int kChunkParts = 32;
constexpr std::int64_t kMostChunks = 256;
constexpr std::int64_t kLeastRows = 64;

template <int kWidth, class T>
__global__ void sum_chunks_kernel(const T* x, std::int64_t rows, std::int64_t n,
                                  std::int64_t chunk_rows, double* partial) {
  __shared__ double parts[kParts][kWarp * kWidth];
  const std::int64_t word = static_cast<std::int64_t>(blockIdx.x) * kWarp + threadIdx.x;
  const std::int64_t words = n / kWidth;
  const std::int64_t first = blockIdx.y * chunk_rows;
  const std::int64_t last = min(first + chunk_rows, rows);
  double sums[kWidth] = {};
  if (word < words) {
    for_words<kWidth>(x + word * kWidth, last * words, (first + threadIdx.y) * words,
                      kParts * words, [&](int j, float value) { sums[j] += value; });
  }
#pragma unroll
  for (int j = 0; j < kWidth; ++j) parts[threadIdx.y][threadIdx.x * kWidth + j] = sums[j];
  __syncthreads();
  const int own = threadIdx.y * kWarp + threadIdx.x;
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * kWarp * kWidth + own;
  if (own >= kWarp * kWidth || column >= n) return;
  double sum = 0;
  for (int part = 0; part < kParts; ++part) sum += parts[part][own];
  partial[blockIdx.y * n + column] = sum;
}

__global__ void add_chunks_kernel(const double* partial, std::int64_t chunks, std::int64_t n,
                                  double* sum) {
  __shared__ double parts[kChunkParts][kWarp];
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * kWarp + threadIdx.x;
  double own = 0;
  if (column < n) {
    for (std::int64_t chunk = threadIdx.y; chunk < chunks; chunk += kChunkParts) {
      own += partial[chunk * n + column];
    }
  }
  parts[threadIdx.y][threadIdx.x] = own;
  __syncthreads();
  if (threadIdx.y > 0 || column >= n) return;
  for (int part = 1; part < kChunkParts; ++part) own += parts[part][threadIdx.x];
  sum[column] += own;
}

template <int kWidth, class T>
void SumChunks(const Context& context, const View& x, std::int64_t chunk_rows, unsigned chunks,
               double* partial) {
  const dim3 blocks(static_cast<unsigned>(DivideUp(x.cols(), kWarp * kWidth)), chunks);
  sum_chunks_kernel<kWidth><<<blocks, dim3(kWarp, kParts), 0, context.stream>>>(
      x.as<const T>(), x.rows(), x.cols(), chunk_rows, partial);
  CheckLaunch("channelSum");
}

}  // namespace

void AddRows(const Context& context, const View& x, double* sum) {
  const std::int64_t rows = x.rows(), n = x.cols();
  if (rows == 0 || n == 0) return;
  const std::int64_t chunk_rows = std::max(kLeastRows, DivideUp(rows, kMostChunks));
  const auto chunks = static_cast<unsigned>(DivideUp(rows, chunk_rows));
  const Scratch<double> partial(context, chunks * n);
  WithOperandType(x.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    n % kWide == 0 && AreAligned(x.as<T>())
        ? SumChunks<kWide, T>(context, x, chunk_rows, chunks, partial.data())
        : SumChunks<1, T>(context, x, chunk_rows, chunks, partial.data());
  });
  const auto blocks = static_cast<unsigned>(DivideUp(n, kWarp));
  add_chunks_kernel<<<blocks, dim3(kWarp, kChunkParts), 0, context.stream>>>(partial.data(), chunks,
                                                                             n, sum);
  CheckLaunch("channelSum");
}

void ChannelSum(const Context& context, const ChannelSumParams& params) {
  AddRows(context, params.x, params.sum.f64());
}

}  // namespace ballast::cuda
