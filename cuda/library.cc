// The table that the addon reads. Every function catches everything: an exception ends here and
// goes on as a value.
#include <cstdio>
#include <exception>
#include <new>

#include "cuda/devices.h"
#include "cuda/engine.h"
#include "cuda/interface.h"
#include "cuda/memory.h"
#include "cuda/operations.h"
#include "native/core/error.h"

namespace ballast::cuda {
namespace {

void Report(Failure& failure, ErrorCode code, const char* message) noexcept {
  failure.code = static_cast<std::int32_t>(code);
  std::snprintf(failure.message, sizeof failure.message, "%s", message);
}

template <class Body>
void Guard(Failure* failure, Body body) noexcept {
  try {
    body();
  } catch (const Error& error) {
    Report(*failure, error.code(), error.what());
  } catch (const std::bad_alloc&) {
    Report(*failure, ErrorCode::kMemory, "The host's memory is exhausted; use fewer --samples.");
  } catch (const std::exception& error) {
    Report(*failure, ErrorCode::kCuda, error.what());
  }
}

int Count(Failure* failure) {
  int count = 0;
  Guard(failure, [&] { count = DeviceCount(); });
  return count;
}

void DescribeDevice(int device, DeviceDescription* description) { Describe(device, *description); }

Engine* Open(int device, Failure* failure) {
  Engine* engine = nullptr;
  Guard(failure, [&] { engine = new Engine(device); });
  return engine;
}

void Close(Engine* engine) { delete engine; }

void SetCancelToken(Engine* engine, const CancelToken* token) { engine->SetCancelToken(token); }

std::byte* AllocateOn(Engine* engine, std::size_t bytes, Failure* failure) {
  std::byte* pointer = nullptr;
  Guard(failure, [&] { pointer = Allocate(engine->Enter(), bytes); });
  return pointer;
}

void FreeOn(Engine* engine, std::byte* pointer) {
  Failure nobody_waits;
  Guard(&nobody_waits, [&] { Free(engine->Enter(), pointer); });
}

std::size_t AvailableOn(Engine* engine, Failure* failure) {
  std::size_t bytes = 0;
  Guard(failure, [&] { bytes = AvailableBytes(engine->Enter()); });
  return bytes;
}

void CopyFromHost(Engine* engine, std::byte* to, const std::byte* from, std::size_t bytes,
                  Failure* failure) {
  Guard(failure, [&] { engine->CopyFromHost(to, from, bytes); });
}

void CopyToHost(Engine* engine, std::byte* to, const std::byte* from, std::size_t bytes,
                Failure* failure) {
  Guard(failure, [&] { engine->CopyToHost(to, from, bytes); });
}

std::byte* UploadAhead(Engine* engine, const std::byte* from, std::size_t bytes, Failure* failure) {
  std::byte* pointer = nullptr;
  Guard(failure, [&] { pointer = engine->UploadAhead(from, bytes); });
  return pointer;
}

void AwaitUploads(Engine* engine, Failure* failure) {
  Guard(failure, [&] { engine->AwaitUploads(); });
}

void Copy(Engine* engine, std::byte* to, const std::byte* from, std::size_t bytes,
          Failure* failure) {
  Guard(failure, [&] { engine->Copy(to, from, bytes); });
}

std::byte* CopyToPeer(Engine* engine, Engine* target, const std::byte* from, std::size_t bytes,
                      Failure* failure) {
  std::byte* pointer = nullptr;
  Guard(failure, [&] { pointer = engine->CopyToPeer(*target, from, bytes); });
  return pointer;
}

void Zero(Engine* engine, std::byte* to, std::size_t bytes, Failure* failure) {
  Guard(failure, [&] { engine->Zero(to, bytes); });
}

void Synchronize(Engine* engine, Failure* failure) {
  Guard(failure, [&] { engine->Synchronize(); });
}

template <auto kLaunch, class Params>
void Run(Engine* engine, const Params* params, Failure* failure) {
  Guard(failure, [&] { kLaunch(engine->Enter(), *params); });
}

constexpr Functions kFunctions = {
    .layout = kLayout,
    .device_count = Count,
    .describe = DescribeDevice,
    .open = Open,
    .close = Close,
    .set_cancel_token = SetCancelToken,
    .allocate = AllocateOn,
    .free = FreeOn,
    .available_bytes = AvailableOn,
    .copy_from_host = CopyFromHost,
    .copy_to_host = CopyToHost,
    .upload_ahead = UploadAhead,
    .await_uploads = AwaitUploads,
    .copy = Copy,
    .copy_to_peer = CopyToPeer,
    .zero = Zero,
    .synchronize = Synchronize,
    .cast = Run<Cast>,
    .count_non_finite = Run<CountNonFinite>,
    .binary = Run<Binary>,
    .scale = Run<Scale>,
    .activate = Run<Activate>,
    .softcap = Run<Softcap>,
    .select_columns = Run<SelectColumns>,
    .select_rows = Run<SelectRows>,
    .transpose = Run<Transpose>,
    .matmul = Run<Matmul>,
    .attention = Run<Attention>,
    .layer_norm = Run<LayerNorm>,
    .rms_norm = Run<RmsNorm>,
    .rope = Run<Rope>,
    .embedding = Run<Embedding>,
    .cross_entropy = Run<CrossEntropy>,
    .choose_experts = Run<ChooseExperts>,
    .expert_weights = Run<ExpertWeights>,
    .clamped_swiglu = Run<ClampedSwiglu>,
    .add_expert = Run<AddExpert>,
    .causal_convolution = Run<CausalConvolution>,
    .gated_delta_rule = Run<GatedDeltaRule>,
    .channel_sum = Run<ChannelSum>,
    .second_moment = Run<SecondMoment>,
    .moment = Run<Moment>,
    .matvec = Run<Matvec>,
    .quadratic_form = Run<QuadraticForm>,
    .fake_quantize = Run<FakeQuantize>,
    .find_scales = Run<FindScales>,
    .quantize = Run<Quantize>,
    .dequantize = Run<Dequantize>,
    .dequantize_float8 = Run<DequantizeFloat8>,
    .dequantize_float4 = Run<DequantizeFloat4>,
    .pack_codes = Run<PackCodes>,
    .unpack_codes = Run<UnpackCodes>,
    .pack_blocks = Run<PackBlocks>,
    .unpack_blocks = Run<UnpackBlocks>,
    .super_scales = Run<SuperScales>,
    .pack_super_blocks = Run<PackSuperBlocks>,
    .unpack_super_blocks = Run<UnpackSuperBlocks>,
    .factorize = Run<Factorize>,
    .gptq = Run<Gptq>,
    .descend = Run<Descend>,
    .refit_scales = Run<RefitScales>,
    .refit_swept = Run<RefitSwept>,
    .head_product = Run<HeadProduct>,
    .softmax = Run<Softmax>,
    .twin_quantize = Run<TwinQuantize>,
    .softmax_gradient = Run<SoftmaxGradient>,
    .layer_norm_gradient = Run<LayerNormGradient>,
    .activation_gradient = Run<ActivationGradient>,
};

}  // namespace
}  // namespace ballast::cuda

extern "C" __attribute__((visibility("default"))) const ballast::cuda::Functions*
ballast_cuda_functions() {
  return &ballast::cuda::kFunctions;
}
