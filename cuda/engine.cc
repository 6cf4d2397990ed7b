#include "cuda/engine.h"

#include "cuda/check.h"
#include "cuda/memory.h"

namespace ballast::cuda {

Engine::Engine(int device) {
  context_.device = device;
  Enter();
  Check(cudaDeviceGetAttribute(&context_.processors, cudaDevAttrMultiProcessorCount, device),
        "reading its properties");
  PreparePool(device);
  Check(cudaStreamCreateWithFlags(&context_.stream, cudaStreamNonBlocking), "creating a stream");
}

Engine::~Engine() {
  cudaSetDevice(context_.device);
  // Waits for what is under way, then releases the stream; a lost device has nothing to wait for.
  cudaStreamSynchronize(context_.stream);
  cudaStreamDestroy(context_.stream);
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

void Engine::Copy(std::byte* to, const std::byte* from, std::size_t bytes) const {
  if (bytes == 0) return;
  Check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, Enter().stream), "copying");
}

void Engine::Zero(std::byte* to, std::size_t bytes) const {
  if (bytes > 0) Check(cudaMemsetAsync(to, 0, bytes, Enter().stream), "filling with zeros");
}

void Engine::Synchronize() const { Check(cudaStreamSynchronize(Enter().stream), "computing"); }

}  // namespace ballast::cuda
