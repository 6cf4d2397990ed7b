// Element types of tensors. Names are those of numpy and torch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ballast {

enum class DType : std::uint8_t {
  kFloat32,
  kFloat16,
  kBFloat16,
  kFloat64,
  kInt32,
  kInt64,
  kUint8,
};

std::size_t SizeOf(DType dtype);
std::string_view DTypeName(DType dtype);
// Throws Error{kType} for a name that is none of the above.
DType ParseDType(std::string_view name);

inline bool IsWeightType(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat16 || dtype == DType::kBFloat16;
}

}  // namespace ballast
