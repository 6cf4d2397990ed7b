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
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorUnknown:
      return true;
    default:
      return false;
  }
}

// Why nothing runs at all, where the runtime's own words leave the remedy open; or empty.
std::string WhyNothingRuns(cudaError_t status) {
  switch (status) {
    case cudaErrorNoKernelImageForDevice:
      return "This build of the CUDA library has no code for this GPU: it needs compute capability "
             "8.0 or later, and a library compiled for it (BALLAST_CUDA_ARCHITECTURES)";
    case cudaErrorUnsupportedPtxVersion:
      return "The NVIDIA driver cannot translate this build of the CUDA library, whose compiler is "
             "newer: update the driver, or compile for this GPU (BALLAST_CUDA_ARCHITECTURES)";
    case cudaErrorJitCompilerNotFound:
      return "The NVIDIA driver here came without its translator (libnvidia-ptxjitcompiler): add "
             "it, or compile for this GPU (BALLAST_CUDA_ARCHITECTURES)";
    case cudaErrorDevicesUnavailable:
      return "The GPU is not to be had, another process may hold it for itself: wait for it, or "
             "choose another with --device";
    default:
      return {};
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
                                      "); start the program again, and the run from its "
                                      "beginning.");
  }
  const std::string why = WhyNothingRuns(status);
  if (!why.empty()) throw Error(ErrorCode::kUnsupported, why + " (" + reason + ").");
  throw Error(ErrorCode::kCuda,
              "The GPU failed while " + std::string(doing) + " (" + reason + ").");
}

void CheckLaunch(const char* operation) {
  const cudaError_t status = cudaGetLastError();
  if (status != cudaSuccess) Check(status, ("starting " + std::string(operation)).c_str());
}

}  // namespace ballast::cuda
