#include "native/ops/check.h"

#include <string>

namespace ballast {
namespace {

[[noreturn]] void Fail(ErrorCode code, std::string_view expected, std::string_view operand,
                       std::string_view received) {
  throw Error(code, "Expected " + std::string(expected) + " for " + std::string(operand) +
                        " but received " + std::string(received) + ".");
}

}  // namespace

void ExpectDType(std::string_view operand, const Tensor& tensor, DType dtype) {
  if (tensor.dtype() != dtype) {
    Fail(ErrorCode::kType, DTypeName(dtype), operand, DTypeName(tensor.dtype()));
  }
}

void ExpectWeightType(std::string_view operand, const Tensor& tensor) {
  if (!IsWeightType(tensor.dtype())) {
    Fail(ErrorCode::kType, "float32, float16 or bfloat16", operand, DTypeName(tensor.dtype()));
  }
}

void ExpectOperandType(std::string_view operand, DType dtype) {
  if (dtype != DType::kFloat32 && dtype != DType::kBFloat16) {
    Fail(ErrorCode::kType, "float32 or bfloat16", operand, DTypeName(dtype));
  }
}

void ExpectRank(std::string_view operand, const Tensor& tensor, int rank) {
  if (tensor.shape().rank() != rank) {
    Fail(ErrorCode::kShape, std::to_string(rank) + " axes", operand, tensor.shape().ToString());
  }
}

void ExpectShape(std::string_view operand, const Tensor& tensor, const Shape& shape) {
  if (!(tensor.shape() == shape)) {
    Fail(ErrorCode::kShape, "shape " + shape.ToString(), operand, tensor.shape().ToString());
  }
}

void ExpectThat(bool condition, std::string_view sentence) {
  if (!condition) throw Error(ErrorCode::kShape, std::string(sentence));
}

void ExpectScoreBias(const Tensor& bias, std::int64_t score_rows, std::int64_t heads,
                     std::int64_t sequence) {
  ExpectDType("score bias", bias, DType::kFloat32);
  ExpectRank("score bias", bias, 2);
  const std::int64_t rows = bias.rows();
  ExpectThat(bias.cols() == sequence && rows > 0 && rows % (heads * sequence) == 0 &&
                 score_rows % rows == 0,
             "Expected a score bias with a row for each (window, head, query) and windows that "
             "divide the sequences "
             "but received " +
                 bias.shape().ToString() + ".");
}

}  // namespace ballast
