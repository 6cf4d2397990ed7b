#include "cuda/staging.h"

#include <algorithm>
#include <cstring>

#include "cuda/check.h"

namespace ballast::cuda {
namespace {

// Long enough that starting a copy costs nothing, short enough that two stay cheap to pin.
constexpr std::size_t kBufferBytes = std::size_t{16} << 20;

}  // namespace

Staging::~Staging() {
  for (Buffer& buffer : buffers_) {
    if (buffer.done != nullptr) cudaEventDestroy(buffer.done);
    if (buffer.data != nullptr) cudaFreeHost(buffer.data);
  }
}

// On first use: a device that is only listed pins nothing.
void Staging::Prepare() {
  for (Buffer& buffer : buffers_) {
    if (buffer.data == nullptr) {
      void* data = nullptr;
      Check(cudaMallocHost(&data, kBufferBytes), "pinning host memory");
      buffer.data = static_cast<std::byte*>(data);
    }
    if (buffer.done == nullptr) {
      Check(cudaEventCreateWithFlags(&buffer.done, cudaEventDisableTiming), "creating an event");
    }
  }
}

void Staging::ToDevice(const Context& context, std::byte* to, const std::byte* from,
                       std::size_t bytes) {
  Prepare();
  for (std::size_t at = 0, turn = 0; at < bytes; at += kBufferBytes, ++turn) {
    Buffer& buffer = buffers_[turn % 2];
    const std::size_t size = std::min(kBufferBytes, bytes - at);
    Check(cudaEventSynchronize(buffer.done), "copying to the GPU");
    std::memcpy(buffer.data, from + at, size);
    Check(cudaMemcpyAsync(to + at, buffer.data, size, cudaMemcpyHostToDevice, context.stream),
          "copying to the GPU");
    Check(cudaEventRecord(buffer.done, context.stream), "copying to the GPU");
  }
}

void Staging::ToHost(const Context& context, std::byte* to, const std::byte* from,
                     std::size_t bytes) {
  Prepare();
  const std::size_t pieces = (bytes + kBufferBytes - 1) / kBufferBytes;
  const auto size = [bytes](std::size_t piece) {
    return std::min(kBufferBytes, bytes - piece * kBufferBytes);
  };
  // Piece i is on its way while piece i − 1 is taken out of the other buffer.
  for (std::size_t piece = 0; piece <= pieces; ++piece) {
    if (piece < pieces) {
      Buffer& buffer = buffers_[piece % 2];
      Check(cudaEventSynchronize(buffer.done), "copying to the host");
      Check(cudaMemcpyAsync(buffer.data, from + piece * kBufferBytes, size(piece),
                            cudaMemcpyDeviceToHost, context.stream),
            "copying to the host");
      Check(cudaEventRecord(buffer.done, context.stream), "copying to the host");
    }
    if (piece > 0) {
      Buffer& buffer = buffers_[(piece - 1) % 2];
      Check(cudaEventSynchronize(buffer.done), "copying to the host");
      std::memcpy(to + (piece - 1) * kBufferBytes, buffer.data, size(piece - 1));
    }
  }
}

}  // namespace ballast::cuda
