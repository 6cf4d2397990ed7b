#include "native/core/error.h"

namespace ballast {

std::string_view ErrorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kShape:
      return "ERR_SHAPE";
    case ErrorCode::kType:
      return "ERR_TYPE";
    case ErrorCode::kNumeric:
      return "ERR_NUMERIC";
    case ErrorCode::kIo:
      return "ERR_IO";
    case ErrorCode::kMemory:
      return "ERR_MEMORY";
    case ErrorCode::kUnsupported:
      return "ERR_UNSUPPORTED";
    case ErrorCode::kAborted:
      return "ERR_ABORTED";
    case ErrorCode::kCuda:
      return "ERR_CUDA";
  }
  return "ERR_UNKNOWN";
}

}  // namespace ballast
