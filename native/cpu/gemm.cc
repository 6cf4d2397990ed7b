// A task is a rectangle of C over the whole depth, a stretch of it at a time. It packs a block of B
// (as much as half a level-2 cache holds) and multiplies it with strip after strip of A; strips are
// packed for the first block and kept for those that follow. Tasks share nothing and never wait;
// the price, packing B once a rectangle, is small since rectangles are tall.
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

// The columns of a block of B; one shallower than the kernel's depth may be wider.
std::int64_t BlockColumns(const GemmKernels& kernels, std::int64_t depth) {
  constexpr std::int64_t kDepthUnit = 64;  // no kernel pads the depth of a block to more
  const std::int64_t padded = RoundUp(std::max<std::int64_t>(depth, 1), kDepthUnit);
  return kernels.block_columns * (kernels.depth / std::min(padded, kernels.depth));
}

// So tall that the strips' part of A, packed, stays in a level-3 cache from one block to the next,
// and all columns; then halved until there are a few for each thread, or packing would show.
Cut CutFor(const GemmKernels& kernels, const Product& p, std::int64_t threads) {
  constexpr std::int64_t kMostRows = 1024;
  constexpr std::int64_t kLeast = 64;
  constexpr std::int64_t kTasksPerThread = 4;
  const std::int64_t wanted = threads == 1 ? 1 : threads * kTasksPerThread;
  std::int64_t rows = std::min(kMostRows, p.rows);
  std::int64_t columns = p.columns;
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

// One rectangle's working memory and place.
class Task {
 public:
  Task(const GemmKernels& kernels, const Product& p, const Rectangle& rectangle,
       const Finish& finish)
      : kernels_(kernels),
        p_(p),
        finish_(finish),
        r_(rectangle),
        block_columns_(EvenPart(r_.columns, BlockColumns(kernels, p.depth), kernels.panel_columns)),
        kept_strips_(r_.columns > block_columns_ ? DivideUp(r_.rows, kernels.strip_rows) : 1),
        strips_(kept_strips_ * kernels.strip_bytes),
        block_(kernels.block_bytes) {}

  void Run() {
    for (std::int64_t k = 0; k < std::max<std::int64_t>(p_.depth, 1); k += kernels_.depth) {
      packed_ = 0;
      const std::int64_t end = r_.column + r_.columns;
      for (std::int64_t j = r_.column; j < end; j += block_columns_) {
        MultiplyBlock(j, std::min(block_columns_, end - j), k);
      }
    }
  }

 private:
  void MultiplyBlock(std::int64_t column, std::int64_t columns, std::int64_t k) {
    const std::int64_t depth = std::min(kernels_.depth, p_.depth - k);
    const bool last = k + depth >= p_.depth;
    kernels_.pack_block(p_.b, {column, columns, k, depth}, block_.data());
    for (std::int64_t s = 0; s * kernels_.strip_rows < r_.rows; ++s) {
      const std::int64_t row = r_.row + s * kernels_.strip_rows;
      const std::int64_t rows = std::min(kernels_.strip_rows, r_.row + r_.rows - row);
      if (p_.upper && row > column + columns - 1) break;
      if (s + 1 < packed_) Fetch(strips_.data() + (s + 1) * kernels_.strip_bytes);
      kernels_.multiply(Strip(s, {row, rows, k, depth}), block_.data(), depth,
                        {.out = p_.out + row * p_.stride + column,
                         .stride = p_.stride,
                         .rows = rows,
                         .columns = columns,
                         .update = k > 0 && p_.update == Update::kStore ? Update::kAdd : p_.update,
                         .upper = p_.upper,
                         .diagonal = column - row});
      if (finish_ && last) finish_(row, rows, column, columns);
    }
  }

  // Begins to move a packed strip into the level-2 cache.
  void Fetch(const std::byte* strip) const {
    for (std::int64_t i = 0; i < kernels_.strip_bytes; i += 64) __builtin_prefetch(strip + i, 0, 2);
  }

  // Strip s, packed unless it was before. Kernels read whole strips, and leave alone what the rows
  // without data give.
  const std::byte* Strip(std::int64_t s, const Range& range) {
    std::byte* strip = strips_.data() + (kept_strips_ == 1 ? 0 : s) * kernels_.strip_bytes;
    if (kept_strips_ == 1 || s >= packed_) {
      kernels_.pack_strip(p_.a, range, strip);
      packed_ = s + 1;
    }
    return strip;
  }

  const GemmKernels& kernels_;
  const Product& p_;
  const Finish& finish_;
  const Rectangle r_;
  const std::int64_t block_columns_;
  const std::int64_t kept_strips_;
  std::int64_t packed_ = 0;  // strips of this stretch of the depth
  Scratch<std::byte> strips_;
  Scratch<std::byte> block_;
};

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
          Task(kernels, p, rectangle, finish).Run();
        }
      },
      context.cancel);
}

}  // namespace ballast::cpu
