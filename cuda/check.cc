#include "cuda/check.h"

#include "native/core/error.h"

namespace ballast::cuda {
namespace {

// After these the context is gone for good: every later call fails in the same way.
bool IsLost(cudaError_t status) {
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorDevicesUnavailable:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorUnknown:
      return true;
    default:
      return false;
  }
}

}  // namespace

void Check(cudaError_t status, const char* doing) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // errors that are not sticky shall not be reported twice
  const std::string reason =
      std::string(cudaGetErrorName(status)) + ": " + cudaGetErrorString(status);
  if (IsLost(status)) {
    throw Error(ErrorCode::kCuda, "The GPU was lost while " + std::string(doing) + " (" + reason +
                                      "); start the program again, a finished part of a run is "
                                      "resumed.");
  }
  if (status == cudaErrorNoKernelImageForDevice) {
    throw Error(ErrorCode::kUnsupported,
                "This build of the CUDA library has no code for this GPU (" + reason +
                    "); it needs compute capability 8.0 or later.");
  }
  throw Error(ErrorCode::kCuda,
              "The GPU failed while " + std::string(doing) + " (" + reason + ").");
}

void CheckLaunch(const char* operation) {
  const cudaError_t status = cudaGetLastError();
  if (status != cudaSuccess) Check(status, ("starting " + std::string(operation)).c_str());
}

}  // namespace ballast::cuda
