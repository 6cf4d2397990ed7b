// Columns in blocks (arXiv 2210.17323, section 3.3), but with R and not its inverse: what a row's
// columns i before j leave of e = ΔW R in it is C_j = Σ_i ΔW_i R_ij, and the weight that would make
// up for that is w_j + C_j / R_jj. Inside a block each column's change is carried to the block's
// later columns at once; the columns after the block receive all of its changes in one product. C
// lies where e will. Rows are independent; as many as the kernel takes go through a block together,
// transposed.
#include "native/cpu/gptq.h"

#include <algorithm>

#include "native/backend/sweep_blocks.h"
#include "native/cpu/gemm.h"
#include "native/cpu/grid.h"
#include "native/cpu/index_check.h"
#include "native/cpu/quantization.h"
#include "native/cpu/rows.h"
#include "native/cpu/scratch.h"

namespace ballast::cpu {
namespace {

constexpr std::int64_t kBlock = SweepBlocks::kMost;
constexpr std::int64_t kRowsOfTask = 16;

// Blocks are too narrow for six bfloat16 products to gain on multiply-adds.
const GemmKernels& GemmOf(const Context& context, Precision precision) {
  return precision == Precision::kFloat32 ? context.kernels.linear.float32
                                          : AlgebraGemmFor(context, precision);
}

class Sweep {
 public:
  Sweep(const Context& context, const GptqParams& params)
      : context_(context),
        params_(params),
        kernels_(context.kernels.linear),
        gemm_(GemmOf(context, params.precision)),
        blocks_(params),
        together_(kernels_.sweep_rows),
        rows_(params.weight.rows()),
        columns_(params.weight.cols()),
        groups_(params.scales.cols()),
        group_size_(columns_ / groups_),
        changes_(rows_ * kBlock, context.blocks),
        answer_(blocks_.large_groups() ? rows_ * group_size_ : 0, context.blocks) {}

  void Run() {
    for (std::int64_t i = 0; i < blocks_.count(); ++i) {
      const SweepBlock block = blocks_[i];
      if (blocks_.large_groups() && block.begin > 0 && block.begin % group_size_ == 0) {
        AnswerGroup(i);
      }
      ForRows([&](std::int64_t first, std::int64_t last) { Rows(block, first, last); });
      Carry(block, changes_.data(), kBlock, columns_ - block.end, Carried(0, block.end), columns_,
            block.begin == 0 ? Update::kStore : Update::kAdd);
    }
  }

 private:
  std::int64_t Group(std::int64_t column) const {
    return params_.group_index.empty() ? column / group_size_ : params_.group_index.i32()[column];
  }

  const float* Weight(std::int64_t row, std::int64_t column) const {
    return params_.weight.f32() + row * columns_ + column;
  }
  float* Carried(std::int64_t row, std::int64_t column) const {
    return params_.errors.f32() + row * columns_ + column;
  }

  // body(first, last): rows that go together.
  template <class F>
  void ForRows(F body) {
    context_.pool.ParallelFor(rows_, together_, body, context_.cancel);
  }

  // What a kernel takes of a block, less what it works on.
  GptqColumns Columns(const SweepBlock& block) const {
    return {.factor = params_.factor.f32() + block.begin * (columns_ + 1),
            .stride = columns_,
            .begin = 0,
            .end = block.size(),
            .block_end = block.size(),
            .max_code = MaxCode(params_.scheme.bits)};
  }

  // out += changes · R over some columns after the block.
  void Carry(const SweepBlock& block, const float* changes, std::int64_t pitch,
             std::int64_t columns, float* out, std::int64_t stride, Update update) {
    if (columns == 0) return;
    Multiply(context_, gemm_,
             {.a = {.data = changes, .stride = pitch},
              .b = {.data = params_.factor.f32() + block.begin * columns_ + block.end,
                    .stride = columns_,
                    .depth_contiguous = false},
              .rows = rows_,
              .columns = columns,
              .depth = block.size(),
              .out = out,
              .stride = stride,
              .update = update});
  }

  // Of the group that begins with the i-th block, what would make up for all that is carried to it.
  void AnswerGroup(std::int64_t i) {
    const std::int64_t begin = blocks_[i].begin, end = begin + group_size_;
    ForEachRow(context_, rows_, kRowsOfTask, [&](std::int64_t row) {
      std::copy_n(Carried(row, begin), group_size_, answer_.data() + row * group_size_);
    });
    for (; i < blocks_.count() && blocks_[i].begin < end; ++i) {
      const SweepBlock block = blocks_[i];
      float* const part = answer_.data() + block.begin - begin;
      ForRows([&](std::int64_t first, std::int64_t last) {
        Scratch<float> carried(kBlock * together_), changes(kBlock * together_);
        float* const rows = part + first * group_size_;
        kernels_.turn_rows(rows, group_size_, last - first, block.size(), carried.data());
        GptqColumns columns = Columns(block);
        columns.carried = carried.data();
        columns.changes = changes.data();
        kernels_.answer_columns(columns);
        kernels_.turn_columns(changes.data(), last - first, block.size(), rows, group_size_);
      });
      Carry(block, part, group_size_, end - block.end, part + block.size(), group_size_,
            Update::kAdd);
    }
  }

  // A block of rows [first, last), at most together_ of them.
  void Rows(const SweepBlock& block, std::int64_t first, std::int64_t last) {
    const std::int64_t size = block.size(), count = last - first;
    Scratch<float> weights(kBlock * together_), carried(kBlock * together_);
    Scratch<float> changes(kBlock * together_), codes(kBlock * together_);
    kernels_.turn_rows(Weight(first, block.begin), columns_, count, size, weights.data());
    if (block.begin > 0) {
      kernels_.turn_rows(Carried(first, block.begin), columns_, count, size, carried.data());
    } else {
      std::fill_n(carried.data(), size * together_, 0.0f);
    }
    GptqColumns columns = Columns(block);
    columns.weights = weights.data();
    columns.carried = carried.data();
    columns.changes = changes.data();
    columns.codes = codes.data();
    SweepColumns(block.begin, columns, first, last);
    kernels_.turn_columns(carried.data(), count, size, Carried(first, block.begin), columns_);
    kernels_.turn_columns(changes.data(), count, size, changes_.data() + first * kBlock, kBlock);
    kernels_.turn_codes(codes.data(), count, size,
                        params_.codes.u8() + first * columns_ + block.begin, columns_);
  }

  // Group after group, each with its scales.
  void SweepColumns(std::int64_t begin, GptqColumns columns, std::int64_t first,
                    std::int64_t last) {
    Scratch<float> parameters(2 * together_);
    columns.scale = parameters.data();
    columns.zero = parameters.data() + together_;
    for (; columns.begin < columns.block_end; columns.begin = columns.end) {
      const std::int64_t column = begin + columns.begin;
      const std::int64_t group = Group(column);
      columns.end = columns.begin + 1;
      while (columns.end < columns.block_end && Group(begin + columns.end) == group) ++columns.end;
      if (!params_.fixed_scales && column % group_size_ == 0) {
        FindScale(column, columns, first, last);
      }
      for (std::int64_t i = 0; i < together_; ++i) {
        const std::int64_t at = std::min(first + i, last - 1) * groups_ + group;
        parameters[i] = params_.scales.f32()[at];
        parameters[together_ + i] = params_.zeros.f32()[at];
      }
      kernels_.quantize_columns(columns);
    }
  }

  // The parameters of the group that begins at `column`, for rows [first, last), on weights that
  // make up for what is carried to it. Its first columns are those of the block at hand,
  // transposed; the rest belong to a large group.
  void FindScale(std::int64_t column, const GptqColumns& columns, std::int64_t first,
                 std::int64_t last) {
    const std::int64_t fresh = columns.end - columns.begin;
    Scratch<float> group(group_size_), answer(kBlock * together_);
    if (column > 0) AnswerColumns(columns, last - first, answer.data());
    const float* channel_weights =
        params_.channel_weights.empty() ? nullptr : params_.channel_weights.f32() + column;
    for (std::int64_t row = first; row < last; ++row) {
      std::copy_n(Weight(row, column), group_size_, group.data());
      if (column > 0) {
        const float* own = answer.data() + (row - first) * kBlock;
        const float* later = answer_.data() + row * group_size_;
        for (std::int64_t j = 0; j < fresh; ++j) group[j] -= own[j];
        for (std::int64_t j = fresh; j < group_size_; ++j) group[j] -= later[j];
      }
      const std::int64_t at = row * groups_ + column / group_size_;
      FindGroupScale(context_.kernels, group.data(), group_size_, channel_weights, params_.scheme,
                     params_.scales.f32() + at, params_.zeros.f32() + at);
    }
  }

  // Changes with which these columns would leave nothing, rows kBlock apart; what is carried stays.
  void AnswerColumns(GptqColumns columns, std::int64_t count, float* answer) {
    Scratch<float> carried(kBlock * together_), changes(kBlock * together_);
    const std::int64_t begin = columns.begin * together_;
    std::copy(columns.carried + begin, columns.carried + columns.end * together_,
              carried.data() + begin);
    columns.carried = carried.data();
    columns.changes = changes.data();
    columns.block_end = columns.end;
    kernels_.answer_columns(columns);
    kernels_.turn_columns(changes.data() + begin, count, columns.end - columns.begin, answer,
                          kBlock);
  }

  const Context& context_;
  const GptqParams& params_;
  const LinearKernels& kernels_;
  const GemmKernels& gemm_;
  const SweepBlocks blocks_;
  const std::int64_t together_;
  const std::int64_t rows_;
  const std::int64_t columns_;
  const std::int64_t groups_;
  const std::int64_t group_size_;
  Scratch<float> changes_;  // [rows, kBlock] of a block
  Scratch<float> answer_;   // [rows, group size] of changes with which a large one leaves nothing
};

}  // namespace

void Gptq(const Context& context, const GptqParams& params) {
  if (!params.group_index.empty()) {
    CheckIndex("groups", params.group_index, params.scales.cols());
  }
  if (params.weight.shape.elements() == 0) return;
  Sweep(context, params).Run();
}

}  // namespace ballast::cpu
