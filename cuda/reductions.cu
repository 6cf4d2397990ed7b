// The rows are cut into chunks whose number depends on the shape alone. A block sums a warp's width
// of channels of one chunk in float64, each of its rows of threads a part of the chunk; chunks are
// added up in order by a second launch. So no run differs from another in any digit.
#include "cuda/grid_loop.cuh"
#include "cuda/memory.h"
#include "cuda/operations.h"
#include "cuda/reduce.cuh"
#include "cuda/reductions.h"

namespace ballast::cuda {
namespace {

constexpr int kParts = 8;
constexpr std::int64_t kMostChunks = 256;
constexpr std::int64_t kLeastRows = 64;

__global__ void sum_chunks_kernel(const float* x, std::int64_t rows, std::int64_t n,
                                  std::int64_t chunk_rows, double* partial) {
  __shared__ double parts[kParts][kWarp];
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * kWarp + threadIdx.x;
  const std::int64_t first = blockIdx.y * chunk_rows;
  const std::int64_t last = min(first + chunk_rows, rows);
  double sum = 0;
  if (column < n) {
    for (std::int64_t row = first + threadIdx.y; row < last; row += kParts) {
      sum += x[row * n + column];
    }
  }
  parts[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y > 0 || column >= n) return;
  for (int part = 1; part < kParts; ++part) sum += parts[part][threadIdx.x];
  partial[blockIdx.y * n + column] = sum;
}

}  // namespace

void AddRows(const Context& context, const View& x, double* sum) {
  const std::int64_t rows = x.rows(), n = x.cols();
  if (rows == 0 || n == 0) return;
  const std::int64_t chunk_rows = std::max(kLeastRows, DivideUp(rows, kMostChunks));
  const std::int64_t chunks = DivideUp(rows, chunk_rows);
  const Scratch<double> partial(context, chunks * n);
  double* own = partial.data();
  const dim3 blocks(static_cast<unsigned>(DivideUp(n, kWarp)), static_cast<unsigned>(chunks));
  sum_chunks_kernel<<<blocks, dim3(kWarp, kParts), 0, context.stream>>>(x.f32(), rows, n,
                                                                        chunk_rows, own);
  CheckLaunch("channelSum");
  ForEach(context, "channelSum", n, [=] __device__(std::int64_t column) {
    double total = sum[column];
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) total += own[chunk * n + column];
    sum[column] = total;
  });
}

void ChannelSum(const Context& context, const ChannelSumParams& params) {
  AddRows(context, params.x, params.sum.f64());
}

}  // namespace ballast::cuda
