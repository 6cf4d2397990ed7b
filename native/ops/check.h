// What every op asks of its operands. A violation throws Error{kShape} or Error{kType} in the
// caller's thread, before anything is enqueued.
#pragma once

#include <optional>
#include <string_view>

#include "native/core/tensor.h"

namespace ballast {

void ExpectDType(std::string_view operand, const Tensor& tensor, DType dtype);
// float32, float16 or bfloat16.
void ExpectWeightType(std::string_view operand, const Tensor& tensor);
void ExpectRank(std::string_view operand, const Tensor& tensor, int rank);
void ExpectShape(std::string_view operand, const Tensor& tensor, const Shape& shape);
void ExpectThat(bool condition, std::string_view sentence);

inline void ExpectFloat32(std::string_view operand, const Tensor& tensor, const Shape& shape) {
  ExpectDType(operand, tensor, DType::kFloat32);
  ExpectShape(operand, tensor, shape);
}

using OptionalTensor = std::optional<Tensor>;

inline View ReadOptional(const OptionalTensor& tensor) { return tensor ? tensor->Read() : View{}; }

}  // namespace ballast
