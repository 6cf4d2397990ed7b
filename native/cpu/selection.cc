// Moves of whole elements of any dtype: by size, since their meaning does not matter.
#include <algorithm>
#include <cstring>

#include "native/cpu/elementwise.h"
#include "native/cpu/index_check.h"
#include "native/cpu/rows.h"

namespace ballast::cpu {
namespace {

// Bytes of a task.
constexpr std::int64_t kTaskBytes = 1 << 18;

template <class Word>
void GatherColumns(const View& in, const View& index, const View& out, std::int64_t begin,
                   std::int64_t end) {
  const std::int64_t columns = out.cols();
  for (std::int64_t row = begin; row < end; ++row) {
    const Word* from = in.as<Word>() + row * in.cols();
    Word* to = out.as<Word>() + row * columns;
    for (std::int64_t j = 0; j < columns; ++j) to[j] = from[index.i32()[j]];
  }
}

// Rows begin … end of the result, tile by tile: a tile's lines of `in` stay in cache while they are
// read down the columns.
template <class Word>
void TransposeRows(const View& in, const View& out, std::int64_t begin, std::int64_t end) {
  constexpr std::int64_t kTile = 32;
  const std::int64_t in_cols = in.cols(), out_cols = out.cols();
  for (std::int64_t i0 = begin; i0 < end; i0 += kTile) {
    const std::int64_t i1 = std::min(i0 + kTile, end);
    for (std::int64_t j0 = 0; j0 < out_cols; j0 += kTile) {
      const std::int64_t j1 = std::min(j0 + kTile, out_cols);
      for (std::int64_t i = i0; i < i1; ++i) {
        for (std::int64_t j = j0; j < j1; ++j) {
          out.as<Word>()[i * out_cols + j] = in.as<Word>()[j * in_cols + i];
        }
      }
    }
  }
}

// Calls f with a value of the unsigned type as wide as the dtype.
template <class F>
void WithWord(DType dtype, F f) {
  switch (SizeOf(dtype)) {
    case 1:
      return f(std::uint8_t{});
    case 2:
      return f(std::uint16_t{});
    case 4:
      return f(std::uint32_t{});
    default:
      return f(std::uint64_t{});
  }
}

std::int64_t RowBytes(const View& view) {
  return view.cols() * static_cast<std::int64_t>(SizeOf(view.dtype));
}

}  // namespace

void SelectColumns(const Context& context, const View& in, const View& index, const View& out) {
  CheckIndex("columns", index, in.cols());
  WithWord(in.dtype, [&](auto word) {
    context.pool.ParallelFor(
        out.rows(), RowsOfTask(RowBytes(out), kTaskBytes),
        [&](std::int64_t begin, std::int64_t end) {
          GatherColumns<decltype(word)>(in, index, out, begin, end);
        },
        context.cancel);
  });
}

void SelectRows(const Context& context, const View& in, const View& index, const View& out) {
  CheckIndex("rows", index, in.rows());
  const std::int64_t bytes = RowBytes(in);
  ForEachRow(context, index.shape.elements(), RowsOfTask(bytes, kTaskBytes), [&](std::int64_t i) {
    std::memcpy(out.bytes + i * bytes, in.bytes + index.i32()[i] * bytes,
                static_cast<std::size_t>(bytes));
  });
}

void Transpose(const Context& context, const View& in, const View& out) {
  // At least a tile's rows, or each line of `in` would be fetched for too few of its elements.
  const std::int64_t grain = std::max<std::int64_t>(RowsOfTask(RowBytes(out), kTaskBytes), 32);
  WithWord(in.dtype, [&](auto word) {
    context.pool.ParallelFor(
        out.rows(), grain,
        [&](std::int64_t begin, std::int64_t end) {
          TransposeRows<decltype(word)>(in, out, begin, end);
        },
        context.cancel);
  });
}

}  // namespace ballast::cpu
