#include "native/ops/views.h"

#include <array>

#include "native/ops/check.h"

namespace ballast {

Tensor Reshape(const Tensor& tensor, Shape shape) {
  ExpectThat(shape.elements() == tensor.shape().elements(),
             "Expected as many elements after reshape as before but " + tensor.shape().ToString() +
                 " and " + shape.ToString() + " differ.");
  return tensor.Reshaped(shape, 0);
}

Tensor SliceRows(const Tensor& tensor, std::int64_t begin, std::int64_t end) {
  const Shape& shape = tensor.shape();
  ExpectThat(shape.rank() > 0 && 0 <= begin && begin <= end && end <= shape[0],
             "Expected 0 <= begin <= end <= rows for a slice of " + shape.ToString() +
                 " but received " + std::to_string(begin) + " and " + std::to_string(end) + ".");
  std::array<std::int64_t, Shape::kMaxRank> extents{};
  for (int axis = 0; axis < shape.rank(); ++axis) extents[axis] = shape[axis];
  extents[0] = end - begin;
  const std::int64_t row = shape[0] == 0 ? 0 : shape.elements() / shape[0];
  return tensor.Reshaped(Shape(std::span<const std::int64_t>(extents.data(), shape.rank())),
                         static_cast<std::size_t>(begin * row) * SizeOf(tensor.dtype()));
}

}  // namespace ballast
