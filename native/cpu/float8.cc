// Row by row, and in a row block by block: a block's share of a row has one scale, so that the
// inner loop is a conversion and one product.
#include "native/cpu/float8.h"

#include <algorithm>

#include "native/cpu/rows.h"

namespace ballast::cpu {

void DequantizeFloat8(const Context& context, const DequantizeFloat8Params& p) {
  const std::int64_t columns = p.codes.cols(), width = p.scales.cols();
  MakeRows(context, p.out, RowsOfTask(columns), [&](std::int64_t row, float* out) {
    const std::uint8_t* codes = p.codes.u8() + row * columns;
    const float* scale = p.scales.f32() + (p.first_row + row) / p.block_rows * width;
    for (std::int64_t j = 0; j < columns; j += p.block_columns) {
      const std::int64_t n = std::min(p.block_columns, columns - j);
      context.kernels.row.scaled_float8(codes + j, *scale++, n, out + j);
    }
  });
}

}  // namespace ballast::cpu
