// JavaScript handles of native objects: externals with a type tag, so that a handle of the wrong
// kind is recognised and never reinterpreted.
#pragma once

#include <memory>

#include "native/binding/napi_setup.h"
#include "native/ops/device.h"

namespace ballast::binding {

// A device is shared with the promise workers that wait for it.
using DeviceHandle = std::shared_ptr<Device>;

Napi::Value WrapDevice(Napi::Env env, DeviceHandle device);
// Throws a TypeError for anything that is not an open device.
DeviceHandle& UnwrapDevice(const Napi::Value& value);

// Reports the tensor's bytes to V8 until it is released.
Napi::Value WrapTensor(Napi::Env env, const Tensor& tensor);
const Tensor& UnwrapTensor(const Napi::Value& value);
// Drops the handle's share of the storage; a second call does nothing.
void ReleaseTensor(const Napi::Value& value);

}  // namespace ballast::binding
