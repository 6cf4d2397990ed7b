// Copies between the host and the GPU through two pinned buffers: one is filled or emptied while
// the other is on its way. Sources need to live only until the call returns (they are mapped files
// and buffers of tasks), and the copy runs at the speed of the bus, which pageable memory does not
// reach.
#pragma once

#include <array>
#include <cstddef>

#include "cuda/context.h"

namespace ballast::cuda {

class Staging {
 public:
  Staging() = default;
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // Returns when the source has been read; the copy itself is queued.
  void ToDevice(const Context& context, std::byte* to, const std::byte* from, std::size_t bytes);
  // Returns when the bytes are there.
  void ToHost(const Context& context, std::byte* to, const std::byte* from, std::size_t bytes);

 private:
  struct Buffer {
    std::byte* data = nullptr;
    cudaEvent_t done = nullptr;  // recorded behind the buffer's last copy
  };

  void Prepare();

  std::array<Buffer, 2> buffers_;
};

}  // namespace ballast::cuda
