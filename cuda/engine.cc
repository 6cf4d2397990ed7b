#include "cuda/engine.h"

#include "cuda/check.h"
#include "cuda/memory.h"
#include "cuda/warpgroup_gemm.h"

namespace ballast::cuda {

Engine::Engine(int device) {
  context_.device = device;
  Enter();
  Check(cudaDeviceGetAttribute(&context_.processors, cudaDevAttrMultiProcessorCount, device),
        "reading its properties");
  context_.products = ChooseProductKernel(device);
  context_.pool = PreparePool(device);
  upload_context_ = context_;
  for (Context* context : {&context_, &upload_context_}) {
    Check(cudaStreamCreateWithFlags(&context->stream, cudaStreamNonBlocking), "creating a stream");
  }
  Check(cudaEventCreateWithFlags(&uploaded_, cudaEventDisableTiming), "creating an event");
}

Engine::~Engine() {
  cudaSetDevice(context_.device);
  // Waits for what is under way, then releases the streams; a lost device has nothing to wait for.
  for (const Context* context : {&upload_context_, &context_}) {
    cudaStreamSynchronize(context->stream);
    cudaStreamDestroy(context->stream);
  }
  cudaEventDestroy(uploaded_);
  cudaGetLastError();
}

const Context& Engine::Enter() const {
  Check(cudaSetDevice(context_.device), "selecting the GPU");
  return context_;
}

void Engine::CopyFromHost(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (bytes > 0) staging_.ToDevice(Enter(), to, from, bytes);
}

void Engine::CopyToHost(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (bytes > 0) staging_.ToHost(Enter(), to, from, bytes);
}

std::byte* Engine::UploadAhead(const std::byte* from, std::size_t bytes) {
  Enter();
  Scratch<std::byte> copy(upload_context_,
                          TryAllocate(upload_context_, upload_context_.pool, bytes));
  if (copy.data() == nullptr) return nullptr;
  if (bytes > 0) upload_staging_.ToDevice(upload_context_, copy.data(), from, bytes);
  Check(cudaEventRecord(uploaded_, upload_context_.stream), "copying to the GPU");
  return copy.Release();
}

void Engine::AwaitUploads() const {
  Check(cudaStreamWaitEvent(Enter().stream, uploaded_, 0), "waiting for a copy to the GPU");
}

void Engine::Copy(std::byte* to, const std::byte* from, std::size_t bytes) const {
  if (bytes == 0) return;
  Check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, Enter().stream), "copying");
}

std::byte* Engine::CopyToPeer(const Engine& target, const std::byte* from, std::size_t bytes) {
  const Context& context = Enter();
  const Context& peer = target.context_;
  if (peers_.insert(peer.device).second) OpenPools(context, peer);
  // The allocation stands in this stream, so nothing of the other GPU's has to be waited for.
  Scratch<std::byte> copy(context, TryAllocate(context, peer.pool, bytes));
  if (copy.data() == nullptr) return nullptr;
  Check(cudaMemcpyPeerAsync(copy.data(), peer.device, from, context.device, bytes, context.stream),
        "copying to another GPU");
  Synchronize();
  return copy.Release();
}

void Engine::Zero(std::byte* to, std::size_t bytes) const {
  if (bytes > 0) Check(cudaMemsetAsync(to, 0, bytes, Enter().stream), "filling with zeros");
}

void Engine::Synchronize() const { Check(cudaStreamSynchronize(Enter().stream), "computing"); }

}  // namespace ballast::cuda
