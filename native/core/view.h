// What a backend sees of a tensor: contiguous row-major memory with a dtype and a shape. A view
// owns nothing; the queue keeps the storage alive while a task runs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "native/core/dtype.h"
#include "native/core/shape.h"

namespace ballast {

struct View {
  std::byte* bytes = nullptr;
  DType dtype = DType::kFloat32;
  Shape shape;
  // Where the host has seen int32 values, that all are in 0 … this − 1; else 0. Checks of indices
  // need no pass over them then, nor a GPU's wait for what it found.
  std::int64_t index_end = 0;

  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(bytes);
  }
  float* f32() const { return as<float>(); }
  double* f64() const { return as<double>(); }
  std::int32_t* i32() const { return as<std::int32_t>(); }
  std::uint8_t* u8() const { return as<std::uint8_t>(); }
  std::int64_t rows() const { return shape.rows(); }
  std::int64_t cols() const { return shape.cols(); }
  std::size_t byte_count() const {
    return static_cast<std::size_t>(shape.elements()) * SizeOf(dtype);
  }
  // An absent optional operand.
  bool empty() const { return bytes == nullptr; }
};

}  // namespace ballast
