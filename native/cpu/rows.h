// Rows in parallel. A task takes as many as come to some number of elements, but one at least, so
// that what it costs to start is little beside what it does, however short the rows are.
#pragma once

#include <algorithm>
#include <cstdint>

#include "native/cpu/context.h"
#include "native/cpu/conversion.h"
#include "native/cpu/scratch.h"

namespace ballast::cpu {

// How many rows a task takes; both sizes in elements, or in another unit.
inline std::int64_t RowsOfTask(std::int64_t row_size, std::int64_t task_size = 32768) {
  return std::max<std::int64_t>(task_size / std::max<std::int64_t>(row_size, 1), 1);
}

// Calls body(row) for all rows, `grain` a task.
template <class F>
void ForEachRow(const Context& context, std::int64_t rows, std::int64_t grain, F body) {
  context.pool.ParallelFor(
      rows, grain,
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) body(row);
      },
      context.cancel);
}

// Calls make(row, result) for all rows of `out`, `grain` a task. What it makes is rounded to out's
// dtype, and goes past the caches if it is more than they hold (conversion.h).
template <class F>
void MakeRows(const Context& context, const View& out, std::int64_t grain, F make) {
  const std::int64_t n = out.cols();
  if (!IsMadeAside(context.kernels, out)) {
    return ForEachRow(context, out.rows(), grain,
                      [&](std::int64_t row) { make(row, out.f32() + row * n); });
  }
  context.pool.ParallelFor(
      out.rows(), grain,
      [&](std::int64_t begin, std::int64_t end) {
        Scratch<float> result(n);
        for (std::int64_t row = begin; row < end; ++row) {
          make(row, result.data());
          WriteAside(context.kernels, result.data(), n, out, row * n);
        }
      },
      context.cancel);
}

}  // namespace ballast::cpu
