// What coordinate descent works on: weights, codes and group parameters transposed, rows of W side
// by side, so that a vector's worth of them goes through the columns together; columns in the order
// in which they are visited.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "native/backend/params.h"
#include "native/core/divide_up.h"
#include "native/cpu/context.h"
#include "native/cpu/scratch.h"

namespace ballast::cpu {

struct DescentState {
  DescentState(const Context& context, const DescendParams& params);

  // Codes and group parameters back to where they came from.
  void Save();

  // body(first row, rows) for stretches of rows, whole vectors of them: as long as leaves some for
  // every thread, since a vector alone is one line of each column's, which lie pages apart.
  template <class F>
  void ForStretches(F body) {
    const std::int64_t share = RoundUp(DivideUp(padded, 4 * context.pool.threads()), lanes);
    context.pool.ParallelFor(
        padded, std::min(kMostRows, share),
        [&](std::int64_t begin, std::int64_t end) { body(begin, end - begin); }, context.cancel);
  }

  static constexpr std::int64_t kMostRows = 128;  // of a stretch
  // Of a column that is at work, how far ahead another is fetched: they lie pages apart, which no
  // processor foresees.
  static constexpr std::int64_t kColumnsAhead = 4;

  const Context& context;
  const DescendParams& params;
  const std::int64_t lanes;
  const std::int64_t rows;
  const std::int64_t padded;  // rows up to whole vectors; those beyond hold zeros
  const std::int64_t columns;
  const std::int64_t groups;
  const std::int64_t group_size;
  Scratch<std::uint8_t> codes;  // [in, padded]
  Scratch<float> delta;         // [in, padded] W at first, then ΔW
  Scratch<float> scales;        // [groups, padded]
  Scratch<float> zeros;         // [groups, padded]
  const bool has_steps;
  // [groups, padded], with steps: of each group, and scale·zero as a multiple of its step.
  Scratch<float> scale_steps;
  Scratch<float> offset_steps;
  Scratch<float> offsets;
  const float* matrix;  // M [in, in], damped, columns as visited

 private:
  void ChooseOrder();
  void MakeMatrix();
  void Load(std::int64_t first, std::int64_t count);
  void LoadSteps(std::int64_t group, std::int64_t first, std::int64_t present);

  std::vector<std::int64_t> column_order_;  // which column is visited j-th
  std::vector<std::int64_t> group_order_;
  Scratch<float> own_matrix_;  // empty where the caller's will do
};

}  // namespace ballast::cpu
