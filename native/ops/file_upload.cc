#include "native/ops/file_upload.h"

#include <utility>

#include "native/core/error.h"

namespace ballast {

FileUpload::FileUpload(std::shared_ptr<Backend> backend, std::shared_ptr<const MappedFile> file,
                       std::size_t bytes)
    : backend_(std::move(backend)), file_(std::move(file)), bytes_(bytes) {}

FileUpload::~FileUpload() {
  if (data_ == nullptr) return;
  try {
    backend_->AwaitUploads();
  } catch (const Error&) {
    // A lost device copies nothing any more.
  }
  backend_->Free(data_);
}

void FileUpload::Run() {
  {
    const std::lock_guard lock(mutex_);
    if (state_ != State::kWaiting) return;
    state_ = State::kRunning;
  }
  std::byte* data = nullptr;
  try {
    data = backend_->UploadAhead(file_->data(), bytes_);
  } catch (const Error&) {
    // Take copies instead, and what is wrong is told there.
  }
  const std::lock_guard lock(mutex_);
  data_ = data;
  state_ = State::kEnded;
  changed_.notify_all();
}

std::byte* FileUpload::Take() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return state_ != State::kRunning; });
    state_ = State::kEnded;
  }
  if (data_ != nullptr) {
    backend_->AwaitUploads();
    return std::exchange(data_, nullptr);
  }
  std::byte* data = backend_->Allocate(bytes_);
  try {
    backend_->CopyFromHost(data, file_->data(), bytes_);
  } catch (...) {
    backend_->Free(data);
    throw;
  }
  return data;
}

}  // namespace ballast
