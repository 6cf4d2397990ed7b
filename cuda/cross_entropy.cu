// One block a row of logits: the largest, then Σ exp in float64, which keeps every exponential at
// or below 1.
#include "cuda/check.h"
#include "cuda/index_check.h"
#include "cuda/operations.h"
#include "cuda/reduce.cuh"
#include "native/backend/value_errors.h"

namespace ballast::cuda {
namespace {

constexpr int kRowThreads = 512;

__global__ void cross_entropy_kernel(const float* logits, const std::int32_t* targets,
                                     int vocabulary, double* out) {
  const float* row = logits + blockIdx.x * static_cast<std::int64_t>(vocabulary);
  const std::int32_t target = targets[blockIdx.x];
  if (target < 0) {  // the same for the whole block
    if (threadIdx.x == 0) out[blockIdx.x] = 0;
    return;
  }
  float largest = -INFINITY;
  for (int i = threadIdx.x; i < vocabulary; i += blockDim.x) largest = fmaxf(largest, row[i]);
  const float top = block_reduce(largest, Largest{}, -INFINITY);
  double sum = 0;
  for (int i = threadIdx.x; i < vocabulary; i += blockDim.x) sum += expf(row[i] - top);
  sum = block_reduce(sum, Sum{}, 0.0);
  if (threadIdx.x == 0) {
    out[blockIdx.x] = static_cast<double>(top) + log(sum) - static_cast<double>(row[target]);
  }
}

}  // namespace

void CrossEntropy(const Context& context, const CrossEntropyParams& p) {
  const std::int64_t rows = p.logits.rows(), vocabulary = p.logits.cols();
  if (rows == 0) return;
  const BadIndex bad = FindBadIndex(context, p.targets, INT32_MIN, vocabulary);
  if (bad.position >= 0) throw TargetError(vocabulary, bad.value, bad.position);
  cross_entropy_kernel<<<static_cast<unsigned>(rows), kRowThreads, 0, context.stream>>>(
      p.logits.f32(), p.targets.i32(), static_cast<int>(vocabulary), p.out.f64());
  CheckLaunch("crossEntropy");
}

}  // namespace ballast::cuda
