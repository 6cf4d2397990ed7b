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

std::int64_t RoundUp(std::int64_t n, std::int64_t multiple) {
  return DivideUp(n, multiple) * multiple;
}

// The rectangles that C is cut into; the last ones may be smaller.
struct Cut {
  std::int64_t rows;
  std::int64_t columns;
};

// Even parts of at most `most` items, whole multiples of `unit`.
std::int64_t EvenPart(std::int64_t items, std::int64_t most, std::int64_t unit) {
  return RoundUp(DivideUp(items, DivideUp(items, most)), unit);
}

// As wide as the block of B may be and so tall that the strips' part of A and C stay in a level-3
// cache from one block to the next; then halved until there are a few for each thread, or packing
// would show.
Cut CutFor(const GemmKernels& kernels, const Product& p, std::int64_t threads) {
  constexpr std::int64_t kMostRows = 512;
  constexpr std::int64_t kLeast = 64;
  constexpr std::int64_t kTasksPerThread = 4;
  constexpr std::int64_t kDepthUnit = 64;  // no kernel pads the depth of a block to more
  const std::int64_t wanted = threads == 1 ? 1 : threads * kTasksPerThread;
  const std::int64_t depth =
      std::min(RoundUp(std::max<std::int64_t>(p.depth, 1), kDepthUnit), kernels.depth);
  // A block shallower than the kernel's depth may be wider.
  const std::int64_t widest = kernels.block_columns * (kernels.depth / depth);
  std::int64_t rows = std::min(kMostRows, p.rows);
  std::int64_t columns = std::min(widest, p.columns);
  while (DivideUp(p.rows, rows) * DivideUp(p.columns, columns) < wanted &&
         std::max(rows, columns) > kLeast) {
    std::int64_t& longer = rows >= columns ? rows : columns;
    longer = DivideUp(longer, 2);
  }
  return {EvenPart(p.rows, rows, kernels.strip_rows),
          EvenPart(p.columns, columns, kernels.panel_columns)};
}

struct Rectangle {
  std::int64_t row, rows, column, columns;
};

void MultiplyRectangle(const GemmKernels& kernels, const Product& p, const Rectangle& rectangle,
                       const Finish& finish) {
  const auto [row, rows, column, columns] = rectangle;
  // Kernels read whole strips, and leave alone what the rows without data give.
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
  if (p.rows == 0 || p.columns == 0) return;
  const auto [rows, columns] = CutFor(kernels, p, context.pool.threads());
  const std::int64_t row_parts = DivideUp(p.rows, rows);
  const std::int64_t column_parts = DivideUp(p.columns, columns);
  context.pool.ParallelFor(
      row_parts * column_parts, 1,
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t task = begin; task < end; ++task) {
          const std::int64_t row = task / column_parts * rows;
          std::int64_t column = task % column_parts * columns;
          const std::int64_t end = std::min(column + columns, p.columns);
          if (p.upper) column = std::max(column, row);
          if (column >= end) continue;
          const Rectangle rectangle = {row, std::min(rows, p.rows - row), column, end - column};
          MultiplyRectangle(kernels, p, rectangle, finish);
        }
      },
      context.cancel);
}

}  // namespace ballast::cpu
