#include "cuda/devices.h"

#include <cuda_runtime_api.h>

#include <string>

#include "native/core/error.h"

namespace ballast::cuda {
namespace {

constexpr int kLeastCapability = 8;  // tensor cores with bfloat16, cp.async

std::string Version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

// The oldest Linux driver that runs this major version of CUDA.
const char* LeastDriver(int runtime) {
  switch (runtime / 1000) {
    case 12:
      return "525";
    case 13:
      return "580";
    default:
      return "one of the same time";
  }
}

std::string WhyNone(cudaError_t status) {
  int runtime = 0, driver = 0;
  cudaRuntimeGetVersion(&runtime);
  cudaDriverGetVersion(&driver);
  const std::string needed =
      "CUDA " + Version(runtime) + " (driver " + LeastDriver(runtime) + " or later)";
  if (driver == 0)
    return "There is no NVIDIA driver on this machine; this build needs " + needed + ".";
  if (status == cudaErrorInsufficientDriver) {
    return "The NVIDIA driver is too old: it supports CUDA " + Version(driver) +
           ", this build needs " + needed + ".";
  }
  if (status == cudaErrorNoDevice || status == cudaSuccess) {
    return "The NVIDIA driver shows no GPU to this process.";
  }
  return "The NVIDIA driver could not be started (" + std::string(cudaGetErrorName(status)) + ": " +
         cudaGetErrorString(status) + ").";
}

}  // namespace

int DeviceCount() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  cudaGetLastError();
  if (status == cudaSuccess && count > 0) return count;
  throw Error(ErrorCode::kUnsupported, WhyNone(status));
}

void Describe(int device, DeviceDescription& description) {
  description = {};
  cudaDeviceProp properties;
  const cudaError_t status = cudaGetDeviceProperties(&properties, device);
  if (status != cudaSuccess) {
    cudaGetLastError();
    const std::string text =
        "It does not answer (" + std::string(cudaGetErrorString(status)) + ").";
    text.copy(description.text, sizeof description.text - 1);
    return;
  }
  const auto say = [&](bool available, const std::string& remark) {
    const std::string text =
        std::string(properties.name) + ", compute capability " + std::to_string(properties.major) +
        "." + std::to_string(properties.minor) + ", " +
        std::to_string(properties.totalGlobalMem / 1000000000) + " GB" + remark;
    description.available = available;
    text.copy(description.text, sizeof description.text - 1);
  };
  if (properties.major < kLeastCapability) return say(false, "; 8.0 or later is needed");
  if (properties.memoryPoolsSupported == 0) return say(false, "; without memory pools");
  say(true, "");
}

}  // namespace ballast::cuda
