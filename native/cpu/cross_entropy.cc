// One row of logits at a time: log Σ exp − logit, summed in float64.
#include "native/cpu/cross_entropy.h"

#include <string>

#include "native/core/error.h"
#include "native/cpu/rows.h"

namespace ballast::cpu {

void CrossEntropy(const Context& context, const CrossEntropyParams& p) {
  const std::int64_t vocabulary = p.logits.cols();
  const auto loss = [&](std::int64_t row) {
    const std::int32_t target = p.targets.i32()[row];
    if (target < 0) return 0.0;
    if (target >= vocabulary) {
      throw Error(ErrorCode::kShape, "Expected targets below " + std::to_string(vocabulary) +
                                         " but received " + std::to_string(target) +
                                         " at position " + std::to_string(row) + ".");
    }
    const float* logits = p.logits.f32() + row * vocabulary;
    return context.kernels.row.log_sum_exp(logits, vocabulary) -
           static_cast<double>(logits[target]);
  };
  ForEachRow(context, p.logits.rows(), 1, [&](std::int64_t row) { p.out.f64()[row] = loss(row); });
}

}  // namespace ballast::cpu
