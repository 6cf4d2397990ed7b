#include "native/ops/devices.h"

#include <charconv>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string_view>

#include "cuda/adapter/cuda_backend.h"
#include "cuda/adapter/library.h"
#include "native/core/processors.h"
#include "native/cpu/cpu_backend.h"

namespace ballast {
namespace {

// What the option may say too; a machine is brought down by a hundred times as many.
constexpr int kMostThreads = 1024;

int DefaultThreads() {
  const char* variable = std::getenv("BALLAST_THREADS");
  const std::string_view text(variable == nullptr ? "" : variable);
  if (text.empty()) return AvailableProcessors();
  int threads = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), threads);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (whole && threads > 0 && threads <= kMostThreads) return threads;
  throw Error(ErrorCode::kUnsupported,
              "Expected a whole number from 1 to " + std::to_string(kMostThreads) +
                  " for BALLAST_THREADS but received '" + std::string(text) + "'.");
}

// Devices of one thread count share a pool, for the life of the process: pools are few and idle
// threads cost nothing, while a pool that ended with its last device would be torn down between
// runs. Nothing here is ever destroyed: a process may exit while queues still compute.
ThreadPool& SharedPool(int threads) {
  static auto& mutex = *new std::mutex;
  static auto& pools = *new std::map<int, std::unique_ptr<ThreadPool>>;
  const int wanted = threads > 0 ? threads : DefaultThreads();
  std::lock_guard lock(mutex);
  std::unique_ptr<ThreadPool>& pool = pools[wanted];
  if (pool == nullptr) pool = std::make_unique<ThreadPool>(wanted);
  return *pool;
}

// Names of the devices that can be opened, and of the others why they cannot.
std::string Devices() {
  std::string available, others;
  for (const DeviceInfo& device : ListDevices()) {
    if (device.available) {
      available += (available.empty() ? "" : ", ") + device.name;
    } else {
      others += " " + device.name + ": " + device.description;
    }
  }
  return available + "." + others;
}

}  // namespace

std::vector<DeviceInfo> ListDevices() {
  std::vector<DeviceInfo> devices = {
      {"cpu", true, cpu::CreateCpuBackend(SharedPool(0))->Description()}};
  for (const cuda::GpuInfo& gpu : cuda::ListGpus()) {
    devices.push_back({gpu.name, gpu.available, gpu.description});
  }
  return devices;
}

std::unique_ptr<Device> OpenDevice(const std::string& name, int threads) {
  if (name == "cpu") {
    return std::make_unique<Device>(name, cpu::CreateCpuBackend(SharedPool(threads)));
  }
  const std::vector<cuda::GpuInfo> gpus = cuda::ListGpus();
  for (std::size_t number = 0; number < gpus.size(); ++number) {
    if (!gpus[number].available || gpus[number].name != name) continue;
    return std::make_unique<Device>(name, cuda::CreateCudaBackend(static_cast<int>(number)));
  }
  throw Error(ErrorCode::kUnsupported,
              "Expected an available device but received '" + name + "'; available: " + Devices());
}

}  // namespace ballast
