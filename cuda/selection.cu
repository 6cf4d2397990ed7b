// Moves of whole elements of any dtype: by size, since their meaning does not matter.
#include "cuda/grid_loop.cuh"
#include "cuda/index_check.h"
#include "cuda/numbers.cuh"
#include "cuda/operations.h"

namespace ballast::cuda {
namespace {

constexpr int kTile = 32;
constexpr int kTileRows = 8;  // rows of a tile that a block moves at once

// A tile through shared memory: both the reads and the writes run along rows. The odd column keeps
// a tile's columns in different banks.
template <class Word>
__global__ void transpose_kernel(const Word* in, std::int64_t rows, std::int64_t columns,
                                 Word* out) {
  __shared__ Word tile[kTile][kTile + 1];
  const std::int64_t column_tiles = (columns + kTile - 1) / kTile;
  const std::int64_t row0 = blockIdx.x / column_tiles * kTile;
  const std::int64_t column0 = blockIdx.x % column_tiles * kTile;
  for (int i = threadIdx.y; i < kTile; i += kTileRows) {
    const std::int64_t row = row0 + i, column = column0 + threadIdx.x;
    if (row < rows && column < columns) tile[i][threadIdx.x] = in[row * columns + column];
  }
  __syncthreads();
  for (int i = threadIdx.y; i < kTile; i += kTileRows) {
    const std::int64_t row = column0 + i, column = row0 + threadIdx.x;
    if (row < columns && column < rows) out[row * rows + column] = tile[threadIdx.x][i];
  }
}

template <class Word>
void GatherColumns(const Context& context, const SelectionParams& p) {
  const std::int64_t in_columns = p.in.cols(), columns = p.out.cols();
  const std::int64_t beside_columns = p.beside.cols();
  const std::int32_t* index = p.index.i32();
  const Word *in = p.in.as<Word>(), *beside = p.beside.as<Word>();
  Word* out = p.out.as<Word>();
  ForEach(context, "selectColumns", p.out.shape.elements(), [=] __device__(std::int64_t i) {
    const std::int64_t row = i / columns, column = index[i % columns];
    out[i] = column < in_columns ? in[row * in_columns + column]
                                 : beside[row * beside_columns + column - in_columns];
  });
}

template <class Word>
void GatherRows(const Context& context, const SelectionParams& p) {
  const std::int64_t columns = p.in.cols();
  const std::int32_t* index = p.index.i32();
  const Word* in = p.in.as<Word>();
  Word* out = p.out.as<Word>();
  ForEach(context, "selectRows", p.out.shape.elements(), [=] __device__(std::int64_t i) {
    out[i] = in[index[i / columns] * columns + i % columns];
  });
}

}  // namespace

void SelectColumns(const Context& context, const SelectionParams& params) {
  const std::int64_t beside = params.beside.empty() ? 0 : params.beside.cols();
  CheckIndex(context, "columns", params.index, params.in.cols() + beside);
  WithWord(params.in.dtype,
           [&](auto word) { GatherColumns<typename decltype(word)::type>(context, params); });
}

void SelectRows(const Context& context, const SelectionParams& params) {
  CheckIndex(context, "rows", params.index, params.in.rows());
  WithWord(params.in.dtype,
           [&](auto word) { GatherRows<typename decltype(word)::type>(context, params); });
}

void Transpose(const Context& context, const SelectionParams& params) {
  const std::int64_t rows = params.in.rows(), columns = params.in.cols();
  if (rows == 0 || columns == 0) return;
  const auto blocks = static_cast<unsigned>(DivideUp(rows, kTile) * DivideUp(columns, kTile));
  WithWord(params.in.dtype, [&](auto word) {
    using Word = typename decltype(word)::type;
    transpose_kernel<<<blocks, dim3(kTile, kTileRows), 0, context.stream>>>(
        params.in.as<Word>(), rows, columns, params.out.as<Word>());
    CheckLaunch("transpose");
  });
}

}  // namespace ballast::cuda
