// One row of logits at a time: log Σ exp − logit, summed in float64.
#include "native/cpu/cross_entropy.h"

#include "native/backend/value_errors.h"
#include "native/cpu/rows.h"

namespace ballast::cpu {

void CrossEntropy(const Context& context, const CrossEntropyParams& p) {
  const std::int64_t vocabulary = p.logits.cols();
  const auto loss = [&](std::int64_t row) {
    const std::int32_t target = p.targets.i32()[row];
    if (target < 0) return 0.0;
    if (target >= vocabulary) throw TargetError(vocabulary, target, row);
    const float* logits = p.logits.f32() + row * vocabulary;
    return context.kernels.row.log_sum_exp(logits, vocabulary) -
           static_cast<double>(logits[target]);
  };
  ForEachRow(context, p.logits.rows(), 1, [&](std::int64_t row) { p.out.f64()[row] = loss(row); });
}

}  // namespace ballast::cpu
