// The rows are cut into chunks whose number depends on the shape alone. Each chunk has its own
// float64 sums; they are added up in order of the chunks, columns in parallel. So threads change no
// digit.
#include "native/cpu/reductions.h"

#include <algorithm>

#include "native/core/divide_up.h"
#include "native/cpu/scratch.h"

namespace ballast::cpu {
namespace {

// Enough chunks for many threads, each long enough that its sums cost little next to its rows.
constexpr std::int64_t kMostChunks = 128;
constexpr std::int64_t kLeastRows = 64;
// What the kernel takes at once.
constexpr std::int64_t kKernelRows = 8;

void AddRows(const RowKernels& kernels, const View& x, std::int64_t first, std::int64_t last,
             double* sum) {
  const std::int64_t n = x.cols(), rows = last - first;
  if (x.dtype == DType::kFloat32) return kernels.add_rows(x.f32() + first * n, rows, n, sum);
  kernels.add_bfloat16_rows(x.as<std::uint16_t>() + first * n, rows, n, sum);
}

}  // namespace

void SumRows(const Context& context, const View& x, double* sum,
             const std::function<void(std::int64_t, std::int64_t)>& prepare) {
  const std::int64_t rows = x.rows(), n = x.cols();
  const std::int64_t chunk_rows =
      std::max(kLeastRows, kKernelRows * DivideUp(rows, kKernelRows * kMostChunks));
  const std::int64_t chunks = DivideUp(rows, chunk_rows);
  Scratch<double> partial(chunks * n);
  context.pool.ParallelFor(
      chunks, 1,
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t chunk = begin; chunk < end; ++chunk) {
          const std::int64_t first = chunk * chunk_rows;
          const std::int64_t last = std::min(first + chunk_rows, rows);
          double* own = partial.data() + chunk * n;
          std::fill(own, own + n, 0.0);
          if (prepare) prepare(first, last);
          AddRows(context.kernels.row, x, first, last, own);
        }
      },
      context.cancel);
  context.pool.ParallelFor(n, 1024, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
      const double* own = partial.data() + chunk * n;
      for (std::int64_t c = begin; c < end; ++c) sum[c] += own[c];
    }
  });
}

void ChannelSum(const Context& context, const ChannelSumParams& params) {
  SumRows(context, params.x, params.sum.f64(), nullptr);
}

}  // namespace ballast::cpu
