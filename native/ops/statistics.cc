#include "native/ops/statistics.h"

namespace ballast {

void ChannelSum(Device& device, const Tensor& x, const Tensor& sum) {
  ExpectOperandType("x", x.dtype());
  ExpectDType("sum", sum, DType::kFloat64);
  ExpectShape("sum", sum, {x.cols()});
  device.Enqueue([=](Backend& backend) { backend.ChannelSum({.x = x.Read(), .sum = sum.Read()}); });
}

void SecondMoment(Device& device, const Tensor& x, const OptionalTensor& y,
                  const OptionalTensor& shift_x, const OptionalTensor& shift_y, const Tensor& sum,
                  Precision precision) {
  ExpectOperandType("x", x.dtype());
  ExpectRank("x", x, 2);
  if (y) {
    ExpectOperandType("y", y->dtype());
    ExpectRank("y", *y, 2);
    ExpectThat(y->rows() == x.rows(), "Expected x and y of the same number of rows.");
  }
  if (shift_x) ExpectFloat32("shift of x", *shift_x, {x.cols()});
  if (shift_y) ExpectFloat32("shift of y", *shift_y, {y ? y->cols() : x.cols()});
  ExpectFloat32("sum", sum, {x.cols(), y ? y->cols() : x.cols()});
  device.Enqueue([=](Backend& backend) {
    backend.SecondMoment({.x = x.Read(),
                          .y = ReadOptional(y),
                          .shift_x = ReadOptional(shift_x),
                          .shift_y = ReadOptional(shift_y),
                          .sum = sum.Read(),
                          .precision = precision});
  });
}

Tensor Moment(Device& device, const Tensor& sum, const Tensor& mean_x, const Tensor& mean_y,
              const OptionalTensor& shift_x, const OptionalTensor& shift_y,
              const MomentOptions& options) {
  ExpectDType("sum", sum, DType::kFloat32);
  ExpectRank("sum", sum, 2);
  ExpectDType("mean of x", mean_x, DType::kFloat64);
  ExpectShape("mean of x", mean_x, {sum.rows()});
  ExpectDType("mean of y", mean_y, DType::kFloat64);
  ExpectShape("mean of y", mean_y, {sum.cols()});
  if (shift_x) ExpectFloat32("shift of x", *shift_x, {sum.rows()});
  if (shift_y) ExpectFloat32("shift of y", *shift_y, {sum.cols()});
  ExpectThat(options.count > 0, "Expected a positive number of tokens.");
  ExpectThat(!options.symmetric || sum.rows() == sum.cols(), "Expected a square symmetric sum.");
  Tensor out = device.Empty(DType::kFloat32, sum.shape());
  device.Enqueue([=](Backend& backend) {
    backend.Moment({.sum = sum.Read(),
                    .mean_x = mean_x.Read(),
                    .mean_y = mean_y.Read(),
                    .shift_x = ReadOptional(shift_x),
                    .shift_y = ReadOptional(shift_y),
                    .out = out.Write(),
                    .count = options.count,
                    .centred = options.centred,
                    .symmetric = options.symmetric});
  });
  return out;
}

Tensor Matvec(Device& device, const Tensor& weight, const Tensor& vector) {
  ExpectWeightType("weight", weight);
  ExpectRank("weight", weight, 2);
  ExpectDType("vector", vector, DType::kFloat64);
  ExpectShape("vector", vector, {weight.cols()});
  Tensor out = device.Empty(DType::kFloat64, {weight.rows()});
  device.Enqueue([=](Backend& backend) {
    backend.Matvec({.weight = weight.Read(), .vector = vector.Read(), .out = out.Write()});
  });
  return out;
}

Tensor QuadraticForm(Device& device, const Tensor& delta, const Tensor& matrix,
                     const OptionalTensor& other, Precision precision) {
  ExpectDType("delta", delta, DType::kFloat32);
  ExpectRank("delta", delta, 2);
  ExpectFloat32("matrix", matrix, {delta.cols(), delta.cols()});
  if (other) ExpectFloat32("other", *other, delta.shape());
  Tensor out = device.Empty(DType::kFloat64, {delta.rows()});
  device.Enqueue([=](Backend& backend) {
    backend.QuadraticForm({.delta = delta.Read(),
                           .matrix = matrix.Read(),
                           .other = ReadOptional(other),
                           .out = out.Write(),
                           .precision = precision});
  });
  return out;
}

}  // namespace ballast
