// A task is a rectangle of C over the whole depth. It packs a block of B (as much as half a level-2
// cache holds) and multiplies it with strip after strip of A, each packed into the level-1 cache
// just before. Tasks share nothing and never wait; the price, packing B once a rectangle, is small
// since rectangles are tall.
#include "native/cpu/gemm.h"

#include <algorithm>

#include "native/cpu/scratch.h"

namespace ballast::cpu {
namespace {

std::int64_t DivideUp(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Even parts of at most `most` items, each a multiple of `unit` but for the last.
std::int64_t PartSize(std::int64_t items, std::int64_t most, std::int64_t unit) {
  const std::int64_t parts = std::max<std::int64_t>(1, DivideUp(items, most));
  return DivideUp(DivideUp(items, parts), unit) * unit;
}

struct Rectangle {
  std::int64_t row, rows, column, columns;
};

void MultiplyRectangle(const GemmKernels& kernels, const Product& p, const Rectangle& rectangle,
                       const Finish& finish) {
  const auto [row, rows, column, columns] = rectangle;
  Scratch<std::byte> strip(kernels.strip_bytes);
  Scratch<std::byte> block(kernels.block_bytes);
  for (std::int64_t k = 0; k < std::max<std::int64_t>(p.depth, 1); k += kernels.depth) {
    const std::int64_t depth = std::min(kernels.depth, p.depth - k);
    kernels.pack_block(p.b, {column, columns, k, depth}, block.data());
    for (std::int64_t i = row; i < row + rows; i += kernels.strip_rows) {
      const std::int64_t strip_rows = std::min(kernels.strip_rows, row + rows - i);
      if (p.upper && i > column + columns - 1) break;
      kernels.pack_strip(p.a, {i, strip_rows, k, depth}, strip.data());
      kernels.multiply(strip.data(), block.data(), depth,
                       {.out = p.out + i * p.stride + column,
                        .stride = p.stride,
                        .rows = strip_rows,
                        .columns = columns,
                        .update = k > 0 && p.update == Update::kStore ? Update::kAdd : p.update,
                        .upper = p.upper,
                        .diagonal = column - i});
      if (finish && k + depth >= p.depth) finish(i, strip_rows, column, columns);
    }
  }
}

}  // namespace

void Multiply(const Context& context, const GemmKernels& kernels, const Product& p,
              const Finish& finish) {
  // Rectangles: as tall as leaves a few for each thread, but not so low that packing shows.
  constexpr std::int64_t kTasksPerThread = 4;
  constexpr std::int64_t kLeastRows = 256;
  const std::int64_t threads = context.pool.threads();
  const std::int64_t columns = PartSize(p.columns, kernels.block_columns, kernels.panel_columns);
  const std::int64_t column_parts = DivideUp(p.columns, std::max<std::int64_t>(columns, 1));
  const std::int64_t wanted =
      threads == 1 ? 1
                   : DivideUp(kTasksPerThread * threads, std::max<std::int64_t>(column_parts, 1));
  const std::int64_t rows =
      PartSize(p.rows, std::max(kLeastRows, DivideUp(p.rows, wanted)), kernels.strip_rows);
  const std::int64_t row_parts = DivideUp(p.rows, std::max<std::int64_t>(rows, 1));
  context.pool.ParallelFor(
      row_parts * column_parts, 1,
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t task = begin; task < end; ++task) {
          const std::int64_t row = task % row_parts * rows;
          const std::int64_t column = task / row_parts * columns;
          const Rectangle rectangle = {row, std::min(rows, p.rows - row), column,
                                       std::min(columns, p.columns - column)};
          if (p.upper && row > column + rectangle.columns - 1) continue;
          MultiplyRectangle(kernels, p, rectangle, finish);
        }
      },
      context.cancel);
}

}  // namespace ballast::cpu
