#include "native/ops/experts.h"

namespace ballast {
namespace {

// Returns how many columns there are to choose from.
std::int64_t ExpectGroups(std::int64_t experts, const ChooseExpertsOptions& options) {
  const auto [count, scoring, groups, kept, best] = options;
  ExpectThat(groups >= 1 && groups <= ChooseExpertsParams::kMostGroups && experts % groups == 0,
             "Expected a number of groups, " + std::to_string(ChooseExpertsParams::kMostGroups) +
                 " at most, that divides " + std::to_string(experts) + " experts but received " +
                 std::to_string(groups) + ".");
  ExpectThat(kept >= 1 && kept <= groups, "Expected a number of kept groups from 1 to " +
                                              std::to_string(groups) + " but received " +
                                              std::to_string(kept) + ".");
  const std::int64_t size = experts / groups;
  ExpectThat(best >= 1 && best <= 2 && best <= size,
             "Expected groups to be worth their 1 or 2 best of " + std::to_string(size) +
                 " experts but received " + std::to_string(best) + ".");
  return kept * size;
}

}  // namespace

Tensor ChooseExperts(Device& device, const Tensor& logits, const OptionalTensor& bias,
                     const ChooseExpertsOptions& options) {
  ExpectDType("logits", logits, DType::kFloat32);
  ExpectRank("logits", logits, 2);
  if (bias) ExpectFloat32("bias", *bias, {logits.cols()});
  const std::int64_t most = ExpectGroups(logits.cols(), options);
  ExpectThat(options.count >= 1 && options.count <= most,
             "Expected a number of chosen experts from 1 to " + std::to_string(most) +
                 " but received " + std::to_string(options.count) + ".");
  Tensor chosen = device.Empty(DType::kInt32, {logits.rows(), options.count});
  device.Enqueue([=](Backend& backend) {
    backend.ChooseExperts({.logits = logits.Read(),
                           .bias = ReadOptional(bias),
                           .chosen = chosen.Write(),
                           .scoring = options.scoring,
                           .groups = options.groups,
                           .kept_groups = options.kept_groups,
                           .best_of_group = options.best_of_group});
  });
  return chosen;
}

Tensor ExpertWeights(Device& device, const Tensor& logits, const Tensor& chosen,
                     const ExpertWeightsOptions& options) {
  ExpectDType("logits", logits, DType::kFloat32);
  ExpectRank("logits", logits, 2);
  ExpectDType("chosen experts", chosen, DType::kInt32);
  ExpectRank("chosen experts", chosen, 2);
  ExpectThat(chosen.rows() == logits.rows(),
             "Expected logits and chosen experts of the same number of rows.");
  Tensor out = device.Empty(DType::kFloat32, chosen.shape());
  device.Enqueue([=](Backend& backend) {
    backend.ExpertWeights({.logits = logits.Read(),
                           .chosen = chosen.Read(),
                           .out = out.Write(),
                           .scoring = options.scoring,
                           .normalized = options.normalized,
                           .scale = options.scale});
  });
  return out;
}

Tensor ClampedSwiglu(Device& device, const Tensor& x, const ClampedSwigluOptions& options) {
  ExpectOperandType("the result", options.dtype);
  ExpectDType("x", x, DType::kFloat32);
  ExpectRank("x", x, 2);
  ExpectThat(x.cols() % 2 == 0,
             "Expected an even number of channels but received " + std::to_string(x.cols()) + ".");
  ExpectThat(options.limit > 0, "Expected a limit above 0.");
  Tensor out = device.Empty(options.dtype, {x.rows(), x.cols() / 2});
  device.Enqueue([=](Backend& backend) {
    backend.ClampedSwiglu(
        {.x = x.Read(), .out = out.Write(), .slope = options.slope, .limit = options.limit});
  });
  return out;
}

void AddExpert(Device& device, const Tensor& sum, const Tensor& y, const Tensor& slots,
               const Tensor& weights) {
  ExpectDType("sum", sum, DType::kFloat32);
  ExpectRank("sum", sum, 2);
  ExpectDType("slots", slots, DType::kInt32);
  ExpectRank("slots", slots, 1);
  ExpectFloat32("y", y, {slots.cols(), sum.cols()});
  ExpectDType("weights", weights, DType::kFloat32);
  ExpectRank("weights", weights, 2);
  ExpectThat(weights.rows() == sum.rows(), "Expected a row of weights for each row of the sum.");
  device.Enqueue([=](Backend& backend) {
    backend.AddExpert(
        {.sum = sum.Read(), .y = y.Read(), .slots = slots.Read(), .weights = weights.Read()});
  });
}

}  // namespace ballast
