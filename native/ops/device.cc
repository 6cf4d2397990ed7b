#include "native/ops/device.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "native/core/mapped_file.h"
#include "native/ops/file_upload.h"

namespace ballast {

Device::Device(std::string name, std::unique_ptr<Backend> backend)
    : name_(std::move(name)), backend_(std::move(backend)) {
  backend_->SetCancelToken(&queue_.cancel_token());
  if (!backend_->SharesHostMemory()) uploads_.emplace();
}

Tensor Device::Empty(DType dtype, Shape shape) const {
  const auto bytes = static_cast<std::size_t>(shape.elements()) * SizeOf(dtype);
  return Tensor(std::make_shared<Storage>(backend_, bytes), dtype, shape);
}

Tensor Device::Zeros(DType dtype, Shape shape) {
  Tensor out = Empty(dtype, shape);
  Enqueue([out](Backend& backend) { backend.Zero(out.Write().bytes, out.byte_count()); });
  return out;
}

namespace {

// Where every index lies below; 0 where one is negative, which no limit allows.
std::int64_t IndexEnd(const std::byte* bytes, std::int64_t count) {
  std::int32_t least = 0, most = -1;
  for (std::int64_t i = 0; i < count; ++i) {
    std::int32_t value;
    std::memcpy(&value, bytes + i * static_cast<std::int64_t>(sizeof value), sizeof value);
    least = std::min(least, value);
    most = std::max(most, value);
  }
  return least < 0 ? 0 : std::int64_t{most} + 1;
}

}  // namespace

Tensor Device::Upload(DType dtype, Shape shape, const std::byte* bytes) {
  Tensor out = Empty(dtype, shape);
  if (dtype == DType::kInt32) out.SetIndexEnd(IndexEnd(bytes, shape.elements()));
  EnqueueUpload(out, std::make_shared<std::vector<std::byte>>(bytes, bytes + out.byte_count()));
  return out;
}

void Device::EnqueueUpload(const Tensor& out, HostBytes bytes) {
  Enqueue([out, bytes = std::move(bytes)](Backend& backend) {
    backend.CopyFromHost(out.Write().bytes, bytes->data(), bytes->size());
  });
}

Tensor Device::UploadFile(DType dtype, Shape shape, const std::string& path, std::uint64_t offset) {
  const auto bytes = static_cast<std::size_t>(shape.elements()) * SizeOf(dtype);
  const std::shared_ptr<MappedFile> file = MappedFile::Open(path, offset, bytes);
  // safetensors aligns nothing but the data's start; kernels load whole elements.
  const bool aligned = reinterpret_cast<std::uintptr_t>(file->data()) % SizeOf(dtype) == 0;
  if (backend_->SharesHostMemory() && aligned) {
    return Tensor(std::make_shared<Storage>(file, file->data(), bytes), dtype, shape);
  }
  const auto upload = std::make_shared<FileUpload>(backend_, file, bytes);
  if (uploads_) {
    // What nobody wants any more when its turn comes is not copied.
    uploads_->Enqueue([wanted = std::weak_ptr(upload)] {
      if (const auto upload = wanted.lock()) upload->Run();
    });
  }
  auto take = [upload] { return upload->Take(); };
  return Tensor(std::make_shared<Storage>(backend_, bytes, std::move(take)), dtype, shape);
}

std::uint64_t Device::Enqueue(std::function<void(Backend&)> task) {
  return queue_.Enqueue([task = std::move(task), backend = backend_] { task(*backend); });
}

std::uint64_t Device::Download(const Tensor& tensor, std::byte* to) {
  return Enqueue([tensor, to](Backend& backend) {
    backend.CopyToHost(to, tensor.Read().bytes, tensor.byte_count());
    backend.Synchronize();
  });
}

std::uint64_t Device::CopyTo(const std::shared_ptr<Device>& other, const Tensor& tensor,
                             const Tensor& out) {
  // Neither queue waits for the other, and a task keeps no device: whoever ends one joins its
  // queue.
  return Enqueue(
      [tensor, out, target = std::weak_ptr(other), peer = other->backend_](Backend& backend) {
        if (std::byte* copy = backend.CopyToPeer(*peer, tensor.Read().bytes, tensor.byte_count())) {
          return out.storage()->Adopt(copy);
        }
        auto bytes = std::make_shared<std::vector<std::byte>>(tensor.byte_count());
        backend.CopyToHost(bytes->data(), tensor.Read().bytes, bytes->size());
        backend.Synchronize();
        const std::shared_ptr<Device> device = target.lock();
        if (device == nullptr) throw Error(ErrorCode::kAborted, "The device was closed.");
        device->EnqueueUpload(out, std::move(bytes));
      });
}

}  // namespace ballast
