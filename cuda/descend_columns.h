// A block of columns of coordinate descent, every row on its own.
#pragma once

#include <cstdint>

#include "cuda/context.h"
#include "native/backend/super_block_params.h"
#include "native/core/dtype.h"

namespace ballast::cuda {

constexpr std::int64_t kDescentBlock = 128;

struct DescentColumns {
  const float* matrix;    // M [columns, columns]
  const float* residual;  // [rows, columns] r = ΔW M; stays: what moved reaches it in a product
  float* delta;           // [rows, columns] ΔW; W where codes start unrounded
  std::uint8_t* codes;    // [rows, columns]
  float* scales;          // [rows, groups]
  float* zeros;           // [rows, groups]
  // [rows, groups], of a grid of super-blocks; null otherwise
  const float* scale_steps;
  const float* offset_steps;
  float* moved;   // out: [rows, kDescentBlock] what the block changed Q by
  double* taken;  // [rows] += what the refits took off each row's error
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t groups;
  std::int64_t begin;        // the block's first column
  int size;                  // of the block
  std::int64_t first_group;  // that of the first column
  int group_size;            // columns of a group inside the block
  std::int64_t sweeps;
  float max_code;
  DType scale_dtype;
  SuperBlock super;  // with steps
  bool refit;        // every group's scale first; groups lie whole in the block
  bool unrounded;    // codes start as W/scale + zero instead of those stored
};

void DescendColumns(const Context& context, const DescentColumns& columns);

}  // namespace ballast::cuda
