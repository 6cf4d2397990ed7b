// A file's bytes on their way into a device's memory, beside its queue: a thread of their own
// brings them while the queue computes, and the first task that needs them takes them over. What
// that thread has not come to by then, or had no memory for, the task copies itself; so nothing is
// used before it is there, and an error is told to whoever waits for what needed the bytes.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>

#include "native/backend/backend.h"
#include "native/core/mapped_file.h"

namespace ballast {

class FileUpload {
 public:
  FileUpload(std::shared_ptr<Backend> backend, std::shared_ptr<const MappedFile> file,
             std::size_t bytes);
  // Releases what nobody has taken.
  ~FileUpload();
  FileUpload(const FileUpload&) = delete;
  FileUpload& operator=(const FileUpload&) = delete;

  // The thread's part; does nothing once the bytes have been taken.
  void Run();
  // The task's part, once: the backend's memory with the bytes, the caller's from here on.
  std::byte* Take();

 private:
  enum class State { kWaiting, kRunning, kEnded };

  std::shared_ptr<Backend> backend_;
  std::shared_ptr<const MappedFile> file_;
  const std::size_t bytes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::kWaiting;
  std::byte* data_ = nullptr;
};

}  // namespace ballast
