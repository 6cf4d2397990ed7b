// The one error type of native code. Its code becomes `BallastError.code` in JavaScript; the
// message is a whole sentence that names what was wrong and, where there is one, the remedy.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace ballast {

enum class ErrorCode { kShape, kType, kNumeric, kIo, kMemory, kUnsupported, kAborted, kCuda };

// The name JavaScript sees, such as "ERR_SHAPE".
std::string_view ErrorCodeName(ErrorCode code);

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace ballast
