// What JavaScript can call: one line an operation. lib/native.ts declares the same list.
#include "native/binding/bind.h"
#include "native/binding/promise_worker.h"
#include "native/core/mapped_file.h"
#include "native/ops/elementwise.h"
#include "native/ops/explicit.h"
#include "native/ops/views.h"

namespace ballast::binding {

Napi::Error ToJsError(Napi::Env env, const std::exception& error) {
  Napi::Error result = Napi::Error::New(env, error.what());
  // Any other than these is a defect, and has no code.
  if (const auto* own = dynamic_cast<const Error*>(&error)) {
    result.Set("code", std::string(ErrorCodeName(own->code())));
  } else if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    result.Set("code", std::string(ErrorCodeName(ErrorCode::kMemory)));
  }
  return result;
}

namespace {

Napi::Value OpenDeviceJs(const Napi::CallbackInfo& info) {
  return Guard(info.Env(), [&] {
    DeviceHandle device =
        OpenDevice(FromJs(info[0], As<std::string>{}), FromJs(info[1], As<int>{}));
    return WrapDevice(info.Env(), std::move(device));
  });
}

Napi::Value CloseDevice(const Napi::CallbackInfo& info) {
  return Guard(info.Env(), [&] {
    UnwrapDevice(info[0]).reset();
    return info.Env().Undefined();
  });
}

Napi::Value DescribeDevice(const Napi::CallbackInfo& info) {
  return Guard(info.Env(), [&]() -> Napi::Value {
    return Napi::String::New(info.Env(), UnwrapDevice(info[0])->Description());
  });
}

Napi::Value AvailableBytes(const Napi::CallbackInfo& info) {
  return Guard(info.Env(), [&]() -> Napi::Value {
    const std::optional<std::size_t> bytes = UnwrapDevice(info[0])->AvailableBytes();
    if (!bytes) return info.Env().Undefined();
    return Napi::Number::New(info.Env(), static_cast<double>(*bytes));
  });
}

Napi::Value ListDevicesJs(const Napi::CallbackInfo& info) {
  return Guard(info.Env(), [&] { return ToJs(info.Env(), ListDevices()); });
}

Napi::Value Synchronize(const Napi::CallbackInfo& info) {
  return Guard(info.Env(), [&]() -> Napi::Value {
    DeviceHandle& device = UnwrapDevice(info[0]);
    const std::uint64_t ticket = device->Enqueue([](Backend& backend) { backend.Synchronize(); });
    return PromiseWorker::Wait(info.Env(), device, ticket, info.Env().Undefined());
  });
}

Napi::Value Read(const Napi::CallbackInfo& info) {
  return Guard(info.Env(), [&]() -> Napi::Value {
    DeviceHandle& device = UnwrapDevice(info[0]);
    const Tensor& tensor = UnwrapTensor(info[1]);
    // Memory that was used before takes no faults of fresh pages, which take longer than the copy.
    const bool fits = info[2].IsArrayBuffer() &&
                      info[2].As<Napi::ArrayBuffer>().ByteLength() == tensor.byte_count();
    auto buffer = fits ? info[2].As<Napi::ArrayBuffer>()
                       : Napi::ArrayBuffer::New(info.Env(), tensor.byte_count());
    const std::uint64_t ticket = device->Download(tensor, static_cast<std::byte*>(buffer.Data()));
    return PromiseWorker::Wait(info.Env(), device, ticket, buffer);
  });
}

Napi::Value CopyTo(const Napi::CallbackInfo& info) {
  return Guard(info.Env(), [&]() -> Napi::Value {
    DeviceHandle& source = UnwrapDevice(info[0]);
    const Tensor& tensor = UnwrapTensor(info[1]);
    DeviceHandle& target = UnwrapDevice(info[2]);
    const Tensor out = target->Empty(tensor.dtype(), tensor.shape());
    const std::uint64_t ticket = source->CopyTo(target, tensor, out);
    return PromiseWorker::Wait(info.Env(), source, ticket, ToJs(info.Env(), out));
  });
}

Napi::Value Cancel(const Napi::CallbackInfo& info) {
  return Guard(info.Env(), [&] {
    UnwrapDevice(info[0])->Cancel();
    return info.Env().Undefined();
  });
}

Napi::Value Release(const Napi::CallbackInfo& info) {
  return Guard(info.Env(), [&] {
    ReleaseTensor(info[0]);
    return info.Env().Undefined();
  });
}

Napi::Value Upload(const Napi::CallbackInfo& info) {
  return Guard(info.Env(), [&] {
    const DType dtype = FromJs(info[1], As<DType>{});
    const Shape shape = FromJs(info[2], As<Shape>{});
    if (!info[3].IsTypedArray()) throw Napi::TypeError::New(info.Env(), "Expected a typed array.");
    const auto array = info[3].As<Napi::TypedArray>();
    const auto expected = static_cast<std::size_t>(shape.elements()) * SizeOf(dtype);
    ExpectThat(array.ByteLength() == expected,
               "Expected " + std::to_string(expected) + " bytes for a " +
                   std::string(DTypeName(dtype)) + " tensor of shape " + shape.ToString() +
                   " but received " + std::to_string(array.ByteLength()) + ".");
    const auto* bytes =
        static_cast<const std::byte*>(array.ArrayBuffer().Data()) + array.ByteOffset();
    return ToJs(info.Env(), UnwrapDevice(info[0])->Upload(dtype, shape, bytes));
  });
}

Tensor UploadFile(Device& device, DType dtype, const Shape& shape, const std::string& path,
                  std::int64_t offset) {
  return device.UploadFile(dtype, shape, path, static_cast<std::uint64_t>(offset));
}

Tensor Zeros(Device& device, DType dtype, const Shape& shape) { return device.Zeros(dtype, shape); }

Tensor ReshapeOn(Device&, const Tensor& tensor, const Shape& shape) {
  return Reshape(tensor, shape);
}

Tensor SliceRowsOn(Device&, const Tensor& tensor, std::int64_t begin, std::int64_t end) {
  return SliceRows(tensor, begin, end);
}

Napi::Object Initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("openDevice", Napi::Function::New<OpenDeviceJs>(env));
  exports.Set("closeDevice", Napi::Function::New<CloseDevice>(env));
  exports.Set("describeDevice", Napi::Function::New<DescribeDevice>(env));
  exports.Set("availableBytes", Napi::Function::New<AvailableBytes>(env));
  exports.Set("listDevices", Napi::Function::New<ListDevicesJs>(env));
  exports.Set("synchronize", Napi::Function::New<Synchronize>(env));
  exports.Set("read", Napi::Function::New<Read>(env));
  exports.Set("copyTo", Napi::Function::New<CopyTo>(env));
  exports.Set("cancel", Napi::Function::New<Cancel>(env));
  exports.Set("release", Napi::Function::New<Release>(env));
  exports.Set("upload", Napi::Function::New<Upload>(env));
  Define<UploadFile>(exports, "uploadFile");
  Define<Zeros>(exports, "zeros");
  Define<ReshapeOn>(exports, "reshape");
  Define<SliceRowsOn>(exports, "sliceRows");
  Define<Cast>(exports, "cast");
  Define<CountNonFinite>(exports, "countNonFinite");
  Define<Binary>(exports, "binary");
  Define<Scale>(exports, "scale");
  Define<Activate>(exports, "activate");
  Define<Softcap>(exports, "softcap");
  Define<SelectColumns>(exports, "selectColumns");
  Define<SelectRows>(exports, "selectRows");
  Define<Transpose>(exports, "transpose");
  Define<Matmul>(exports, "matmul");
  Define<Attention>(exports, "attention");
  Define<LayerNorm>(exports, "layerNorm");
  Define<RmsNorm>(exports, "rmsNorm");
  Define<Rope>(exports, "rope");
  Define<Embedding>(exports, "embedding");
  Define<CrossEntropy>(exports, "crossEntropy");
  Define<ChooseExperts>(exports, "chooseExperts");
  Define<ExpertWeights>(exports, "expertWeights");
  Define<ClampedSwiglu>(exports, "clampedSwiglu");
  Define<AddExpert>(exports, "addExpert");
  Define<CausalConvolution>(exports, "causalConvolution");
  Define<GatedDeltaRule>(exports, "gatedDeltaRule");
  Define<ChannelSum>(exports, "channelSum");
  Define<SecondMoment>(exports, "secondMoment");
  Define<Moment>(exports, "moment");
  Define<Matvec>(exports, "matvec");
  Define<QuadraticForm>(exports, "quadraticForm");
  Define<FindScales>(exports, "findScales");
  Define<Quantize>(exports, "quantize");
  Define<Dequantize>(exports, "dequantize");
  Define<DequantizeFloat8>(exports, "dequantizeFloat8");
  Define<DequantizeFloat4>(exports, "dequantizeFloat4");
  Define<PackCodes>(exports, "packCodes");
  Define<UnpackCodes>(exports, "unpackCodes");
  Define<PackBlocks>(exports, "packBlocks");
  Define<UnpackBlocks>(exports, "unpackBlocks");
  Define<SuperScales>(exports, "superScales");
  Define<PackSuperBlocks>(exports, "packSuperBlocks");
  Define<UnpackSuperBlocks>(exports, "unpackSuperBlocks");
  Define<FakeQuantize>(exports, "fakeQuantize");
  Define<Factorize>(exports, "factorize");
  Define<Gptq>(exports, "gptq");
  Define<Descend>(exports, "descend");
  Define<RefitScales>(exports, "refitScales");
  Define<RefitSwept>(exports, "refitSwept");
  Define<HeadProduct>(exports, "headProduct");
  Define<Softmax>(exports, "softmax");
  Define<TwinQuantize>(exports, "twinQuantize");
  Define<SoftmaxGradient>(exports, "softmaxGradient");
  Define<LayerNormGradient>(exports, "layerNormGradient");
  Define<ActivationGradient>(exports, "activationGradient");
  return exports;
}

NODE_API_MODULE(ballast, Initialize)

}  // namespace
}  // namespace ballast::binding
