// What every op asks of its operands. A violation throws Error{kShape} or Error{kType} in the
// caller's thread, before anything is enqueued.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "native/core/tensor.h"

namespace ballast {

void ExpectDType(std::string_view operand, const Tensor& tensor, DType dtype);
// float32, float16 or bfloat16.
void ExpectWeightType(std::string_view operand, const Tensor& tensor);
// float32 or bfloat16: what products read, and what operations may make for them.
void ExpectOperandType(std::string_view operand, DType dtype);
void ExpectRank(std::string_view operand, const Tensor& tensor, int rank);
void ExpectShape(std::string_view operand, const Tensor& tensor, const Shape& shape);
void ExpectThat(bool condition, std::string_view sentence);

inline void ExpectFloat32(std::string_view operand, const Tensor& tensor, const Shape& shape) {
  ExpectDType(operand, tensor, DType::kFloat32);
  ExpectShape(operand, tensor, shape);
}

// A bias on scores: whole windows of a row for each (head, query), which all sequences share out.
void ExpectScoreBias(const Tensor& bias, std::int64_t score_rows, std::int64_t heads,
                     std::int64_t sequence);

using OptionalTensor = std::optional<Tensor>;

inline View ReadOptional(const OptionalTensor& tensor) { return tensor ? tensor->Read() : View{}; }

}  // namespace ballast
