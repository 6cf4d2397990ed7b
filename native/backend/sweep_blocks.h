// How GPTQ's sweep divides columns: the same on every backend.
#pragma once

#include <algorithm>
#include <cstdint>

#include "native/backend/params.h"
#include "native/core/divide_up.h"

namespace ballast {

struct SweepBlock {
  std::int64_t begin;
  std::int64_t end;

  std::int64_t size() const { return end - begin; }
};

// Blocks of at most 128 columns. Unless scales are given, none ends inside a group that begins
// inside it: the columns are runs, of whole groups that fit a block or of one larger group, and
// each run is cut alike.
class SweepBlocks {
 public:
  static constexpr std::int64_t kMost = 128;

  explicit SweepBlocks(const GptqParams& params)
      : columns_(params.weight.cols()),
        group_(params.fixed_scales ? 1 : columns_ / params.scales.cols()),
        run_(group_ > kMost ? group_ : kMost / group_ * group_),
        blocks_of_run_(DivideUp(run_, kMost)) {}

  // Whether scales are found on weights of further blocks than the one at hand.
  bool large_groups() const { return group_ > kMost && group_ < columns_; }

  std::int64_t count() const {
    const std::int64_t whole = columns_ / run_;
    return whole * blocks_of_run_ + DivideUp(columns_ - whole * run_, kMost);
  }
  SweepBlock operator[](std::int64_t i) const {
    const std::int64_t run = i / blocks_of_run_ * run_;
    const std::int64_t begin = run + i % blocks_of_run_ * kMost;
    return {begin, std::min({begin + kMost, run + run_, columns_})};
  }

 private:
  std::int64_t columns_;
  std::int64_t group_;
  std::int64_t run_;
  std::int64_t blocks_of_run_;
};

}  // namespace ballast
