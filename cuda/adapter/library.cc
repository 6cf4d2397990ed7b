#include "cuda/adapter/library.h"

#include <dlfcn.h>

#include <filesystem>

#include "native/core/error.h"

namespace ballast::cuda {
namespace {

constexpr const char* kFileName = "ballast-cuda.so";

[[noreturn]] void Unsupported(const std::string& sentence) {
  throw Error(ErrorCode::kUnsupported, sentence);
}

// The folder of the file that holds this function: the addon.
std::filesystem::path OwnFolder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&OwnFolder), &info) == 0) return {};
  return std::filesystem::path(info.dli_fname).parent_path();
}

const Functions* Load() {
  const std::filesystem::path path = OwnFolder() / kFileName;
  if (!std::filesystem::exists(path)) {
    Unsupported("This build has no CUDA library (" + std::string(kFileName) +
                " beside the addon); compile it where nvcc is on the PATH, or install a package "
                "that contains it.");
  }
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* reason = dlerror();
    Unsupported("The CUDA library could not be loaded: " +
                std::string(reason == nullptr ? path.string() : reason) + ".");
  }
  using EntryPoint = const Functions* (*)();
  const auto entry = reinterpret_cast<EntryPoint>(dlsym(library, kEntryPoint));
  const Functions* functions = entry == nullptr ? nullptr : entry();
  if (functions == nullptr || functions->layout != kLayout) {
    Unsupported("The CUDA library " + path.string() +
                " belongs to another build of the addon; rebuild or reinstall the package.");
  }
  return functions;
}

}  // namespace

const Functions& Library() {
  static const Functions* functions = Load();  // a load that throws is tried again next time
  return *functions;
}

std::vector<GpuInfo> ListGpus() {
  try {
    const Functions& library = Library();
    Failure failure;
    const int count = library.device_count(&failure);
    if (failure.code != kSuccess) return {{"cuda", false, failure.message}};
    std::vector<GpuInfo> gpus;
    for (int device = 0; device < count; ++device) {
      DeviceDescription description;
      library.describe(device, &description);
      gpus.push_back({"cuda:" + std::to_string(device), description.available, description.text});
    }
    return gpus;
  } catch (const Error& error) {
    return {{"cuda", false, error.what()}};
  }
}

}  // namespace ballast::cuda
