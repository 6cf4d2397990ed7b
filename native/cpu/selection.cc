// Rows and columns that are picked.
#include <cstring>

#include "native/cpu/elementwise.h"
#include "native/cpu/index_check.h"
#include "native/cpu/rows.h"
#include "native/cpu/word.h"

namespace ballast::cpu {
namespace {

// Bytes of a task.
constexpr std::int64_t kTaskBytes = 1 << 18;

template <class Word>
void GatherColumns(const View& in, const View& beside, const View& index, const View& out,
                   std::int64_t begin, std::int64_t end) {
  const std::int64_t columns = out.cols(), own = in.cols();
  for (std::int64_t row = begin; row < end; ++row) {
    const Word* from = in.as<Word>() + row * own;
    Word* to = out.as<Word>() + row * columns;
    if (beside.empty()) {
      for (std::int64_t j = 0; j < columns; ++j) to[j] = from[index.i32()[j]];
      continue;
    }
    const Word* other = beside.as<Word>() + row * beside.cols();
    for (std::int64_t j = 0; j < columns; ++j) {
      const std::int32_t column = index.i32()[j];
      to[j] = column < own ? from[column] : other[column - own];
    }
  }
}

std::int64_t RowBytes(const View& view) {
  return view.cols() * static_cast<std::int64_t>(SizeOf(view.dtype));
}

}  // namespace

void SelectColumns(const Context& context, const View& in, const View& beside, const View& index,
                   const View& out) {
  CheckIndex("columns", index, in.cols() + (beside.empty() ? 0 : beside.cols()));
  WithWord(in.dtype, [&](auto word) {
    context.pool.ParallelFor(
        out.rows(), RowsOfTask(RowBytes(out), kTaskBytes),
        [&](std::int64_t begin, std::int64_t end) {
          GatherColumns<decltype(word)>(in, beside, index, out, begin, end);
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

}  // namespace ballast::cpu
