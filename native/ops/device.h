// A backend with one ordered queue in front of it: what every op is called with.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "native/backend/backend.h"
#include "native/core/queue.h"
#include "native/core/tensor.h"

namespace ballast {

class Device {
 public:
  Device(std::string name, std::unique_ptr<Backend> backend);

  const std::string& name() const { return name_; }
  std::string Description() const { return backend_->Description(); }
  std::optional<std::size_t> AvailableBytes() { return backend_->AvailableBytes(); }

  // A tensor whose memory comes into being with the first task that writes it.
  Tensor Empty(DType dtype, Shape shape) const;
  Tensor Zeros(DType dtype, Shape shape);
  // The whole value of a host buffer, copied at once: the caller may reuse the buffer.
  Tensor Upload(DType dtype, Shape shape, const std::byte* bytes);
  // A tensor of a file's bytes, mapped, and borrowed where the device shares the host's memory;
  // elsewhere copied beside the queue, however early it is asked for.
  Tensor UploadFile(DType dtype, Shape shape, const std::string& path, std::uint64_t offset);

  std::uint64_t Enqueue(std::function<void(Backend&)> task);
  // Copies a tensor to host memory that the caller keeps alive until the ticket is done.
  std::uint64_t Download(const Tensor& tensor, std::byte* to);
  // Copies a tensor of this device to `out` of another, from memory to memory where there is such a
  // way, else through the host. When the ticket is done, the other's part is in its queue.
  std::uint64_t CopyTo(const std::shared_ptr<Device>& other, const Tensor& tensor,
                       const Tensor& out);
  // Blocks; for worker threads only.
  void Wait(std::uint64_t ticket) { queue_.Wait(ticket); }
  // What Wait has thrown is known to whoever enqueues.
  void Resume(std::uint64_t ticket) { queue_.Resume(ticket); }
  void Cancel() { queue_.Cancel(); }

 private:
  using HostBytes = std::shared_ptr<const std::vector<std::byte>>;
  void EnqueueUpload(const Tensor& out, HostBytes bytes);

  std::string name_;
  std::shared_ptr<Backend> backend_;
  // The thread that copies files; none where they are borrowed.
  std::optional<Queue> uploads_;
  Queue queue_;
};

}  // namespace ballast
