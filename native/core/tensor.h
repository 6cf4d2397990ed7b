// A shared handle on (part of) a storage with a dtype and a shape; always contiguous and row-major.
#pragma once

#include <memory>
#include <utility>

#include "native/core/error.h"
#include "native/core/storage.h"
#include "native/core/view.h"

namespace ballast {

class Tensor {
 public:
  Tensor() = default;
  Tensor(std::shared_ptr<Storage> storage, DType dtype, Shape shape)
      : storage_(std::move(storage)), dtype_(dtype), shape_(shape) {}

  // Another shape over (part of) the same values, from `byte_offset` of the whole on.
  Tensor Reshaped(Shape shape, std::size_t byte_offset) const {
    Tensor out = *this;
    out.shape_ = shape;
    out.byte_offset_ = byte_offset_ + byte_offset;
    return out;
  }

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::int64_t rows() const { return shape_.rows(); }
  std::int64_t cols() const { return shape_.cols(); }
  std::size_t byte_count() const {
    return static_cast<std::size_t>(shape_.elements()) * SizeOf(dtype_);
  }
  const std::shared_ptr<Storage>& storage() const { return storage_; }

  // For tasks. Reading what no task has written means that an earlier task failed.
  View Read() const {
    if (storage_->data() == nullptr) {
      throw Error(ErrorCode::kNumeric, "A tensor was read that has never been computed.");
    }
    return {storage_->data() + byte_offset_, dtype_, shape_, index_end_};
  }
  View Write() const { return {storage_->Ensure() + byte_offset_, dtype_, shape_}; }

  // See View. Of this handle and its copies, whose values nobody may write to any more.
  void SetIndexEnd(std::int64_t end) { index_end_ = end; }

 private:
  std::shared_ptr<Storage> storage_;
  DType dtype_ = DType::kFloat32;
  Shape shape_;
  std::size_t byte_offset_ = 0;
  std::int64_t index_end_ = 0;
};

}  // namespace ballast
