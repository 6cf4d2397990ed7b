#include "native/binding/handles.h"

#include <optional>
#include <utility>

namespace ballast::binding {
namespace {

// Random constants; a tag only has to differ from every other.
constexpr napi_type_tag kDeviceTag = {0x6d1c0f5a94b34f27, 0x9be13a1d5c7e8042};
constexpr napi_type_tag kTensorTag = {0x2f8e47c6d0194ab3, 0xa57f60e2193bd48c};

struct TensorHandle {
  std::optional<Tensor> tensor;
  std::int64_t reported_bytes = 0;
};

template <class T>
T& Unwrap(const Napi::Value& value, const napi_type_tag& tag, const char* kind) {
  const Napi::Env env = value.Env();
  bool matches = false;
  if (value.IsExternal()) napi_check_object_type_tag(env, value, &tag, &matches);
  if (!matches) throw Napi::TypeError::New(env, std::string("Expected a ") + kind + ".");
  return *value.As<Napi::External<T>>().Data();
}

void Report(Napi::Env env, TensorHandle& handle, std::int64_t bytes) {
  Napi::MemoryManagement::AdjustExternalMemory(env, bytes - handle.reported_bytes);
  handle.reported_bytes = bytes;
}

}  // namespace

Napi::Value WrapDevice(Napi::Env env, DeviceHandle device) {
  auto external =
      Napi::External<DeviceHandle>::New(env, new DeviceHandle(std::move(device)),
                                        [](Napi::Env, DeviceHandle* handle) { delete handle; });
  napi_type_tag_object(env, external, &kDeviceTag);
  return external;
}

DeviceHandle& UnwrapDevice(const Napi::Value& value) {
  DeviceHandle& handle = Unwrap<DeviceHandle>(value, kDeviceTag, "device");
  if (handle == nullptr) throw Error(ErrorCode::kUnsupported, "The device has been closed.");
  return handle;
}

Napi::Value WrapTensor(Napi::Env env, const Tensor& tensor) {
  auto external = Napi::External<TensorHandle>::New(env, new TensorHandle{tensor, 0},
                                                    [](Napi::Env env, TensorHandle* handle) {
                                                      Report(env, *handle, 0);
                                                      delete handle;
                                                    });
  napi_type_tag_object(env, external, &kTensorTag);
  // Borrowed storage is the page cache's. A GPU's memory says nothing of the host's: told of it,
  // the collector would stop everything for some 20 ms whenever a mini-batch has come and gone.
  if (tensor.storage()->on_host()) {
    Report(env, *external.Data(), static_cast<std::int64_t>(tensor.byte_count()));
  }
  return external;
}

const Tensor& UnwrapTensor(const Napi::Value& value) {
  TensorHandle& handle = Unwrap<TensorHandle>(value, kTensorTag, "tensor");
  if (!handle.tensor) throw Error(ErrorCode::kUnsupported, "The tensor has been disposed.");
  return *handle.tensor;
}

void ReleaseTensor(const Napi::Value& value) {
  TensorHandle& handle = Unwrap<TensorHandle>(value, kTensorTag, "tensor");
  Report(value.Env(), handle, 0);
  handle.tensor.reset();
}

}  // namespace ballast::binding
