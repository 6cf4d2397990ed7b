// What coordinate descent works on: ΔW, codes and group parameters with the columns in the order in
// which they are visited, and the damped moment in the same order. Where that is the order in which
// they lie, codes and group parameters are the caller's own.
#pragma once

#include <cstdint>

#include "cuda/context.h"
#include "cuda/memory.h"
#include "native/backend/params.h"

namespace ballast::cuda {

struct DescentState {
  DescentState(const Context& context, const DescendParams& params);

  // ΔW = W − scale·(code − zero), once.
  void SubtractQuantized();
  // Codes and group parameters back to where they came from.
  void Save();

  const Context& context;
  const DescendParams& params;
  const std::int64_t rows;
  const std::int64_t columns;
  const std::int64_t groups;
  const std::int64_t group_size;
  std::uint8_t* codes;  // [out, in]
  float* scales;        // [out, groups]
  float* zeros;         // [out, groups]
  const float* matrix;  // M [in, in], damped
  float* delta;         // [out, in] W at first, then ΔW
  // [out, groups], of a grid of super-blocks; null otherwise
  const float* scale_steps;
  const float* offset_steps;

 private:
  void Reorder();

  const Scratch<float> delta_;
  // Empty where the columns stay in order, and the matrix where it is the caller's besides.
  const Scratch<std::int32_t> order_;  // [in] which column is visited j-th
  const Scratch<std::uint8_t> own_codes_;
  const Scratch<float> own_scales_;
  const Scratch<float> own_zeros_;
  const Scratch<float> own_matrix_;
  const Scratch<float> own_scale_steps_;
  const Scratch<float> own_offset_steps_;
};

// out [rows of the state, in] = x M[begin … begin + depth − 1, ·], x [rows, depth].
void MultiplyByMatrix(const DescentState& state, std::int64_t begin, std::int64_t depth,
                      const float* x, float* out);

}  // namespace ballast::cuda
