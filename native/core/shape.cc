#include "native/core/shape.h"

#include <algorithm>

#include "native/core/error.h"

namespace ballast {

// Tensors above 2^48 elements are a mistake or an attack; the bound keeps byte counts from
// overflowing.
constexpr std::int64_t kMaxElements = std::int64_t{1} << 48;

Shape::Shape(std::initializer_list<std::int64_t> extents)
    : Shape(std::span<const std::int64_t>(extents.begin(), extents.size())) {}

Shape::Shape(std::span<const std::int64_t> extents) {
  if (extents.size() > kMaxRank) {
    throw Error(ErrorCode::kShape, "A tensor has at most four axes but " +
                                       std::to_string(extents.size()) + " were given.");
  }
  std::int64_t elements = 1;
  for (const std::int64_t extent : extents) {
    if (extent < 0 || extent > kMaxElements || (extent > 0 && elements > kMaxElements / extent)) {
      throw Error(ErrorCode::kShape,
                  "An extent of " + std::to_string(extent) + " is negative or too large.");
    }
    elements *= extent;
    extents_[rank_++] = extent;
  }
}

std::int64_t Shape::elements() const {
  std::int64_t product = 1;
  for (int axis = 0; axis < rank_; ++axis) product *= extents_[axis];
  return product;
}

std::int64_t Shape::rows() const {
  std::int64_t product = 1;
  for (int axis = 0; axis + 1 < rank_; ++axis) product *= extents_[axis];
  return product;
}

bool Shape::operator==(const Shape& other) const {
  return rank_ == other.rank_ &&
         std::equal(extents_.begin(), extents_.begin() + rank_, other.extents_.begin());
}

std::string Shape::ToString() const {
  std::string text = "[";
  for (int axis = 0; axis < rank_; ++axis) {
    if (axis > 0) text += ", ";
    text += std::to_string(extents_[axis]);
  }
  return text + "]";
}

}  // namespace ballast
