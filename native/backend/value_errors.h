// What is wrong with values that only a backend sees, in the same words on each.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "native/core/dtype.h"
#include "native/core/error.h"

namespace ballast {

// An index that is not from 0 to limit − 1; it leads back to the text or file that it is from.
inline Error IndexError(std::string_view what, std::int64_t limit, std::int64_t value,
                        std::int64_t position) {
  return Error(ErrorCode::kShape, "Expected " + std::string(what) + " from 0 to " +
                                      std::to_string(limit - 1) + " but received " +
                                      std::to_string(value) + " at position " +
                                      std::to_string(position) + ".");
}

// A token to predict that is not in the vocabulary; negative ones are left out.
inline Error TargetError(std::int64_t vocabulary, std::int64_t value, std::int64_t position) {
  return Error(ErrorCode::kShape, "Expected targets below " + std::to_string(vocabulary) +
                                      " but received " + std::to_string(value) + " at position " +
                                      std::to_string(position) + ".");
}

inline Error NoFloatError(DType dtype) {
  return Error(ErrorCode::kType, "Expected a float dtype to write to but received " +
                                     std::string(DTypeName(dtype)) + ".");
}

}  // namespace ballast
