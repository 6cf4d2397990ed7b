// Rows in parallel. A task takes as many as come to some number of elements, but one at least, so
// that what it costs to start is little beside what it does, however short the rows are.
#pragma once

#include <algorithm>
#include <cstdint>

#include "native/cpu/context.h"

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

}  // namespace ballast::cpu
