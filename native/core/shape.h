// The extents of a tensor, outermost first; at most four.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace ballast {

class Shape {
 public:
  static constexpr int kMaxRank = 4;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents);
  explicit Shape(std::span<const std::int64_t> extents);

  int rank() const { return rank_; }
  std::int64_t operator[](int axis) const { return extents_[axis]; }
  std::int64_t elements() const;
  // Everything but the last axis, taken together; 1 for a vector.
  std::int64_t rows() const;
  // The last axis.
  std::int64_t cols() const { return rank_ == 0 ? 1 : extents_[rank_ - 1]; }
  bool operator==(const Shape& other) const;
  // "[2, 3]"
  std::string ToString() const;

 private:
  std::array<std::int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

}  // namespace ballast
