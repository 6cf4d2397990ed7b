// Columns in blocks of at most 128 (arXiv 2210.17323, section 3.3): inside a block each column's
// error reaches the block's later columns at once; the columns after the block receive all of its
// errors in one product. Errors take the place of weights that have been swept. Rows are
// independent; as many as the kernel takes go through a block together, transposed. Blocks never
// end inside a group that begins inside them, so that a group's parameters see weights as updated.
#include "native/cpu/gptq.h"

#include <algorithm>

#include "native/cpu/gemm.h"
#include "native/cpu/grid.h"
#include "native/cpu/index_check.h"
#include "native/cpu/quantization.h"
#include "native/cpu/scratch.h"

namespace ballast::cpu {
namespace {

constexpr std::int64_t kBlock = 128;

struct Block {
  std::int64_t begin;
  std::int64_t end;
};

class Sweep {
 public:
  Sweep(const Context& context, const GptqParams& params)
      : context_(context),
        params_(params),
        together_(context.kernels.linear.sweep_rows),
        rows_(params.weight.rows()),
        columns_(params.weight.cols()),
        groups_(params.scales.cols()),
        group_size_(columns_ / groups_) {}

  void Run() {
    for (Block block = {0, BlockEnd(0)}; block.begin < columns_;
         block = {block.end, BlockEnd(block.end)}) {
      context_.pool.ParallelFor(
          rows_, together_, [&](std::int64_t begin, std::int64_t end) { Rows(block, begin, end); },
          context_.cancel);
      UpdateLater(block);
    }
  }

 private:
  std::int64_t BlockEnd(std::int64_t begin) const {
    const std::int64_t most = std::min(begin + kBlock, columns_);
    if (params_.fixed_scales) return most;
    const std::int64_t group_end = (begin / group_size_ + 1) * group_size_;
    return group_end >= most ? most : most / group_size_ * group_size_;
  }

  std::int64_t Group(std::int64_t column) const {
    return params_.group_index.empty() ? column / group_size_ : params_.group_index.i32()[column];
  }

  // One block of rows [first, last), at most together_ of them.
  void Rows(const Block& block, std::int64_t first, std::int64_t last) {
    const std::int64_t size = block.end - block.begin;
    const LinearKernels& kernels = context_.kernels.linear;
    Scratch<float> weights(kBlock * together_), errors(kBlock * together_);
    Scratch<float> codes(kBlock * together_), parameters(2 * together_);
    kernels.turn_rows(Weight(first, block.begin), columns_, last - first, size, weights.data());
    GptqColumns columns = {.weights = weights.data(),
                           .factor = params_.factor.f32() + block.begin * (columns_ + 1),
                           .stride = columns_,
                           .begin = 0,
                           .end = 0,
                           .block_end = size,
                           .scale = parameters.data(),
                           .zero = parameters.data() + together_,
                           .max_code = MaxCode(params_.scheme.bits),
                           .errors = errors.data(),
                           .codes = codes.data()};
    while (columns.begin < size) {
      columns.end = columns.begin + 1;
      const std::int64_t group = Group(block.begin + columns.begin);
      while (columns.end < size && Group(block.begin + columns.end) == group) ++columns.end;
      const std::int64_t column = block.begin + columns.begin;
      if (!params_.fixed_scales && column % group_size_ == 0) {
        FindScale(column, weights.data() + columns.begin * together_, first, last,
                  std::min(group_size_, size - columns.begin));
      }
      for (std::int64_t i = 0; i < together_; ++i) {
        const std::int64_t at = std::min(first + i, last - 1) * groups_ + group;
        parameters[i] = params_.scales.f32()[at];
        parameters[together_ + i] = params_.zeros.f32()[at];
      }
      kernels.quantize_columns(columns);
      columns.begin = columns.end;
    }
    kernels.turn_columns(errors.data(), last - first, size, Weight(first, block.begin), columns_);
    kernels.turn_codes(codes.data(), last - first, size,
                       params_.codes.u8() + first * columns_ + block.begin, columns_);
  }

  // The parameters of the group that begins at `column`, for rows [first, last). Its first `fresh`
  // columns are in the block at hand, transposed; the rest lie in the weight, up to date since no
  // block ends inside a group that began inside it.
  void FindScale(std::int64_t column, const float* block_weights, std::int64_t first,
                 std::int64_t last, std::int64_t fresh) {
    Scratch<float> group(group_size_);
    const float* channel_weights =
        params_.channel_weights.empty() ? nullptr : params_.channel_weights.f32() + column;
    for (std::int64_t row = first; row < last; ++row) {
      for (std::int64_t j = 0; j < fresh; ++j)
        group[j] = block_weights[j * together_ + row - first];
      std::copy(Weight(row, column) + fresh, Weight(row, column) + group_size_,
                group.data() + fresh);
      const std::int64_t at = row * groups_ + column / group_size_;
      FindGroupScale(context_.kernels, group.data(), group_size_, channel_weights, params_.scheme,
                     params_.scales.f32() + at, params_.zeros.f32() + at);
    }
  }

  // W −= E U for the columns after the block.
  void UpdateLater(const Block& block) {
    const std::int64_t later = columns_ - block.end;
    if (later == 0) return;
    Multiply(context_, context_.kernels.linear.float32,
             {.a = {.data = params_.weight.f32() + block.begin, .stride = columns_},
              .b = {.data = params_.factor.f32() + block.begin * columns_ + block.end,
                    .stride = columns_,
                    .depth_contiguous = false},
              .rows = rows_,
              .columns = later,
              .depth = block.end - block.begin,
              .out = params_.weight.f32() + block.end,
              .stride = columns_,
              .update = Update::kSubtract});
  }

  float* Weight(std::int64_t row, std::int64_t column) const {
    return params_.weight.f32() + row * columns_ + column;
  }

  const Context& context_;
  const GptqParams& params_;
  const std::int64_t together_;
  const std::int64_t rows_;
  const std::int64_t columns_;
  const std::int64_t groups_;
  const std::int64_t group_size_;
};

}  // namespace

void Gptq(const Context& context, const GptqParams& params) {
  if (!params.group_index.empty()) {
    CheckIndex("groups", params.group_index, params.scales.cols());
  }
  Sweep(context, params).Run();
}

}  // namespace ballast::cpu
