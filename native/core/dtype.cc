#include "native/core/dtype.h"

#include <array>
#include <string>

#include "native/core/error.h"

namespace ballast {
namespace {

struct Entry {
  DType dtype;
  std::string_view name;
  std::size_t size;
};

constexpr std::array kEntries = {
    Entry{DType::kFloat32, "float32", 4},   Entry{DType::kFloat16, "float16", 2},
    Entry{DType::kBFloat16, "bfloat16", 2}, Entry{DType::kFloat64, "float64", 8},
    Entry{DType::kInt32, "int32", 4},       Entry{DType::kInt64, "int64", 8},
    Entry{DType::kUint8, "uint8", 1},
};

const Entry& Find(DType dtype) { return kEntries[static_cast<std::size_t>(dtype)]; }

}  // namespace

std::size_t SizeOf(DType dtype) { return Find(dtype).size; }

std::string_view DTypeName(DType dtype) { return Find(dtype).name; }

DType ParseDType(std::string_view name) {
  for (const Entry& entry : kEntries) {
    if (entry.name == name) return entry.dtype;
  }
  throw Error(ErrorCode::kType, "Unknown dtype '" + std::string(name) + "'.");
}

}  // namespace ballast
