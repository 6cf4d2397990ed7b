// One stream on one GPU with the memory that its copies need. The adapter's calls for an engine
// come one at a time, except Free, which any thread may call.
#pragma once

#include <cstddef>

#include "cuda/context.h"
#include "cuda/staging.h"

namespace ballast::cuda {

struct Engine {
 public:
  explicit Engine(int device);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  void SetCancelToken(const CancelToken* token) { context_.cancel = token; }
  // Makes the engine's GPU the calling thread's own.
  const Context& Enter() const;

  void CopyFromHost(std::byte* to, const std::byte* from, std::size_t bytes);
  void CopyToHost(std::byte* to, const std::byte* from, std::size_t bytes);
  void Copy(std::byte* to, const std::byte* from, std::size_t bytes) const;
  void Zero(std::byte* to, std::size_t bytes) const;
  void Synchronize() const;

 private:
  Context context_;
  Staging staging_;
};

}  // namespace ballast::cuda
