// The matrix half of the kernel table: the parts of a blocked product (Goto and van de Geijn,
// Anatomy of High-Performance Matrix Multiplication, 2008) and the inner loops of the other linear
// algebra.
#pragma once

#include <cstddef>
#include <cstdint>

#include "native/core/dtype.h"

namespace ballast::cpu {

// A factor of C = A Bᵀ: `A [items, depth]` where depth_contiguous, else stored as [depth, items].
struct Operand {
  const void* data = nullptr;
  DType dtype = DType::kFloat32;  // a weight type
  std::int64_t stride = 0;        // elements from one stored row to the next
  bool depth_contiguous = true;
  const float* shift = nullptr;  // optional [items], subtracted; only where depth is not contiguous

  bool operator==(const Operand&) const = default;
};

// The part of an operand that is packed at once.
struct Range {
  std::int64_t first;  // item
  std::int64_t items;
  std::int64_t from;  // depth
  std::int64_t depth;
};

enum class Update { kStore, kAdd, kSubtract };

// Where a strip times a block goes. With `upper`, elements with column + diagonal < row stay
// untouched.
struct Destination {
  float* out;
  std::int64_t stride;
  std::int64_t rows;
  std::int64_t columns;
  Update update;
  bool upper = false;
  std::int64_t diagonal = 0;
};

// Rows of A that will be packed next, `stride` bytes apart. A kernel may fetch them into the
// level-2 cache while it multiplies: reading them costs more than packing does.
struct Upcoming {
  const std::byte* data = nullptr;
  std::int64_t stride = 0;
  std::int64_t rows = 0;
  std::int64_t bytes = 0;  // of a row
};

// A strip is a few rows of A, a block many columns of Bᵀ in panels, both over a stretch of the
// depth and in the kernel's own element type. Sums run over the depth in order, `depth` terms at a
// time, so an element of C depends on nothing but its row, its column and the depth. Working memory
// is 64-byte aligned.
struct GemmKernels {
  std::int64_t strip_rows;
  std::int64_t band_rows;  // whose strips stay in a level-2 cache, beside a block
  std::int64_t panel_columns;
  std::int64_t block_columns;
  std::int64_t depth;
  std::int64_t per_word;  // elements in a 32-bit word of what is packed
  std::int64_t block_bytes;
  // What a strip over a stretch of the depth takes; what a panel takes in a block.
  std::int64_t (*strip_bytes)(std::int64_t depth);
  std::int64_t (*panel_bytes)(std::int64_t depth);
  // Items of the range, strip after strip.
  void (*pack_strips)(const Operand& a, const Range& range, void* strips);
  // Items begin … end−1 of the range, whole panels of them, where they belong in the block.
  void (*pack_block)(const Operand& b, const Range& range, std::int64_t begin, std::int64_t end,
                     void* block);
  // A strip of items that are packed already: of a panel from its column `first` on, then of the
  // next. Null where strips hold other parts of numbers than panels do.
  void (*turn_panels)(const void* panel, const void* next, std::int64_t first, std::int64_t items,
                      std::int64_t depth, void* strip);
  // Both have been packed over a stretch `packed` deep, of which the first `depth` are multiplied.
  void (*multiply)(const void* strip, const void* block, std::int64_t packed, std::int64_t depth,
                   const Destination& destination, const Upcoming& upcoming);
};

// Where there are bfloat16 products: of operands rounded, and of float32 operands in parts
// (split.h). What six products sum takes five by a right operand of float16, and three by one of
// bfloat16 or of a left one; two take a left operand of bfloat16 as well.
struct BFloat16Kernels {
  GemmKernels rounded;
  GemmKernels two_products{};
  GemmKernels three_products{};
  GemmKernels six_products{};
  GemmKernels by_float16{};
  GemmKernels by_bfloat16{};
  GemmKernels of_bfloat16{};
};

// Some columns of a GPTQ block of `sweep_rows` rows. Arrays with a row of so many numbers for each
// column of the block are marked [·].
struct GptqColumns {
  const float* weights = nullptr;  // [·]
  const float* factor;             // R at the block's first row and column
  std::int64_t stride;             // of factor
  std::int64_t begin;              // columns to quantize
  std::int64_t end;
  std::int64_t block_end;        // what they change is carried so far
  const float* scale = nullptr;  // [sweep_rows], the same for all columns begin … end−1
  const float* zero = nullptr;
  float max_code;
  // [·] what other columns leave of e; of columns that have been quantized, e
  float* carried = nullptr;
  float* changes = nullptr;  // [·] out: ΔW
  float* codes = nullptr;    // [·] out, whole numbers
};

// The columns of one group in a block of coordinate descent, `lanes` rows of it. Arrays with a row
// of `lanes` numbers for each column of the block, `pitch` apart, are marked [·]. With
// u = code − zero, r = ΔW M and M the matrix at the block.
struct DescentColumns {
  const float* matrix;  // M at the block's first row and column
  std::int64_t stride;  // of matrix
  std::int64_t pitch;
  std::int64_t begin;  // the group's columns
  std::int64_t end;
  std::int64_t block_end;  // residuals are kept up to date so far
  const float* scale;      // [lanes]
  const float* zero;
  float max_code;
  float* codes;       // [·] whole numbers
  float* residual;    // [·] r
  float* moved;       // [·] += what the quantized weight changed by
  float* slope;       // [lanes] out of project_columns: u·r over the group
  float* curvature;   // [lanes] out of project_columns: u M uᵀ
  float* units;       // [·] out of project_columns: u of the group's columns
  float* projection;  // [·] out of project_columns: Σ_j u_j M_jk over the group, all of the block
};

// A column in the refit of scales whose groups are larger than a block of coordinate descent, whole
// vectors of rows; r, u and M as above.
struct RefitColumn {
  const std::uint8_t* codes;  // null where the column is not of the group
  const float* zeros;
  const float* product;  // u M; or W M, with `inverse`: u M is what r lacks of it, in scales
  const float* inverse;  // 1 / scale, or null
  float* residual;       // r
  float* delta;          // ΔW
  std::int64_t ahead;    // elements to a later column, whose r, ΔW and product are fetched
  std::int64_t rows;
};

// Rows of the largest square that one thread factors alone.
constexpr std::int64_t kMostTriangle = 128;

struct LinearKernels {
  std::int64_t lanes;       // rows that descend_columns and its like take at once
  std::int64_t sweep_rows;  // rows that quantize_columns takes
  GemmKernels float32;
  BFloat16Kernels bfloat16;  // without bfloat16 products `rounded` alone: by multiply-adds
  // Σ a·b, summed in float64.
  double (*dot)(const float* a, const float* b, std::int64_t n);
  // sums = {Σ x·a, Σ x·b}, in float32 for a few vectors and so on in float64.
  void (*dot_pair)(const float* x, const float* a, const float* b, std::int64_t n, double* sums);
  double (*dot_double)(const float* a, const double* b, std::int64_t n);
  void (*quantize_columns)(const GptqColumns& columns);
  // ΔW with which they would leave nothing, were there no codes.
  void (*answer_columns)(const GptqColumns& columns);
  // Some columns of `count` rows, those of a row along memory, into an array [·]: rows beyond
  // `count` copy the last, and columns are rounded up to whole vectors. And back, of floats and of
  // codes.
  void (*turn_rows)(const float* rows, std::int64_t stride, std::int64_t count,
                    std::int64_t columns, float* turned);
  void (*turn_columns)(const float* turned, std::int64_t count, std::int64_t columns, float* rows,
                       std::int64_t stride);
  void (*turn_codes)(const float* turned, std::int64_t count, std::int64_t columns,
                     std::uint8_t* rows, std::int64_t stride);
  // What a change of the group's scale would do, and what it does when made: `change` [lanes].
  void (*project_columns)(const DescentColumns& columns);
  void (*shift_columns)(const DescentColumns& columns, const float* change);
  // The same for a column of a larger group: adds its u·r and u·(u M), [rows] each; makes the
  // change.
  void (*sum_refit)(const RefitColumn& column, double* slope, double* curvature);
  void (*apply_refit)(const RefitColumn& column, const float* change);
  // Each code in turn takes its best value, the others being what they are.
  void (*descend_columns)(const DescentColumns& columns);
  // a [n, n], n <= kMostTriangle, holds the upper triangle of a symmetric matrix A and receives the
  // upper triangular R with A = R Rᵀ, the diagonal from last to first. False when a pivot is not a
  // positive finite number.
  bool (*reverse_cholesky)(double* a, std::int64_t n);
  // inverse = r⁻¹, both upper triangular [n, n]; inverse receives zeros below the diagonal.
  void (*invert_upper)(const double* r, std::int64_t n, double* inverse);
};

// The table of each instruction set; call one only on a machine that has it.
namespace generic {
LinearKernels MakeLinearKernels();
}
namespace avx2 {
LinearKernels MakeLinearKernels();
}
namespace avx512 {
LinearKernels MakeLinearKernels();
}
namespace avx512_bf16 {
BFloat16Kernels MakeBFloat16Kernels();
}
namespace amx_bf16 {
BFloat16Kernels MakeBFloat16Kernels();
}

}  // namespace ballast::cpu
