// One GPU with a stream for all that is queued and one for uploads beside it, and the memory that
// copies need. The adapter's calls for an engine come one at a time, with two exceptions:
// UploadAhead has a thread of its own, and any thread may call AwaitUploads and Free.
#pragma once

#include <cstddef>
#include <set>

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
  // Memory of the upload stream with a copy of host bytes, in that stream; returns when the source
  // has been read. Whoever uses or frees it in the other stream calls AwaitUploads before. Null
  // where no memory is free.
  std::byte* UploadAhead(const std::byte* from, std::size_t bytes);
  void AwaitUploads() const;
  void Copy(std::byte* to, const std::byte* from, std::size_t bytes) const;
  // Memory of another GPU with a copy of this one's bytes, whole on return; null where that one has
  // no memory left in its pool. Only asks which GPU the other engine is.
  std::byte* CopyToPeer(const Engine& target, const std::byte* from, std::size_t bytes);
  void Zero(std::byte* to, std::size_t bytes) const;
  void Synchronize() const;

 private:
  Context context_;
  Staging staging_;
  Context upload_context_;
  Staging upload_staging_;
  cudaEvent_t uploaded_ = nullptr;  // behind the last upload
  std::set<int> peers_;             // GPUs whose memory has been opened to this one
};

}  // namespace ballast::cuda
