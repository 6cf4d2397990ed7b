#include "native/ops/elementwise.h"

namespace ballast {

Tensor Cast(Device& device, const Tensor& in, DType dtype) {
  Tensor out = device.Empty(dtype, in.shape());
  device.Enqueue([=](Backend& backend) { backend.Cast(in.Read(), out.Write()); });
  return out;
}

Tensor CountNonFinite(Device& device, const Tensor& in) {
  Tensor out = device.Empty(DType::kFloat64, {1});
  device.Enqueue([=](Backend& backend) { backend.CountNonFinite(in.Read(), out.Write()); });
  return out;
}

Tensor Binary(Device& device, BinaryKind kind, const Tensor& a, const Tensor& b, DType dtype) {
  ExpectOperandType("the result", dtype);
  ExpectDType("a", a, DType::kFloat32);
  ExpectFloat32("b", b, b.shape() == Shape{a.cols()} ? b.shape() : a.shape());
  Tensor out = device.Empty(dtype, a.shape());
  device.Enqueue([=](Backend& backend) { backend.Binary(kind, a.Read(), b.Read(), out.Write()); });
  return out;
}

Tensor Scale(Device& device, const Tensor& in, double factor) {
  ExpectDType("in", in, DType::kFloat32);
  Tensor out = device.Empty(DType::kFloat32, in.shape());
  device.Enqueue([=](Backend& backend) { backend.Scale(in.Read(), factor, out.Write()); });
  return out;
}

Tensor Activate(Device& device, Activation kind, const Tensor& in) {
  ExpectDType("in", in, DType::kFloat32);
  Tensor out = device.Empty(DType::kFloat32, in.shape());
  device.Enqueue([=](Backend& backend) { backend.Activate(kind, in.Read(), out.Write()); });
  return out;
}

Tensor Softcap(Device& device, const Tensor& in, double cap) {
  ExpectDType("in", in, DType::kFloat32);
  ExpectThat(cap > 0, "Expected a positive cap.");
  Tensor out = device.Empty(DType::kFloat32, in.shape());
  device.Enqueue([=](Backend& backend) { backend.Softcap(in.Read(), cap, out.Write()); });
  return out;
}

Tensor SelectColumns(Device& device, const Tensor& in, const Tensor& index,
                     const OptionalTensor& beside) {
  ExpectRank("in", in, 2);
  if (beside) {
    ExpectDType("what is beside it", *beside, in.dtype());
    ExpectRank("what is beside it", *beside, 2);
    ExpectThat(beside->rows() == in.rows(), "Expected tensors side by side to have as many rows.");
  }
  ExpectDType("index", index, DType::kInt32);
  ExpectRank("index", index, 1);
  Tensor out = device.Empty(in.dtype(), {in.rows(), index.cols()});
  device.Enqueue([=](Backend& backend) {
    backend.SelectColumns(in.Read(), ReadOptional(beside), index.Read(), out.Write());
  });
  return out;
}

Tensor SelectRows(Device& device, const Tensor& in, const Tensor& index) {
  ExpectRank("in", in, 2);
  ExpectDType("index", index, DType::kInt32);
  ExpectRank("index", index, 1);
  Tensor out = device.Empty(in.dtype(), {index.cols(), in.cols()});
  device.Enqueue(
      [=](Backend& backend) { backend.SelectRows(in.Read(), index.Read(), out.Write()); });
  return out;
}

Tensor Transpose(Device& device, const Tensor& in) {
  ExpectRank("in", in, 2);
  Tensor out = device.Empty(in.dtype(), {in.cols(), in.rows()});
  device.Enqueue([=](Backend& backend) { backend.Transpose(in.Read(), out.Write()); });
  return out;
}

}  // namespace ballast
