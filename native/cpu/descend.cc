// The residual r = ΔW M holds for every column before each block of columns; inside a block the
// kernels keep it up to date, and what the block moved reaches all other columns in one product. So
// a pass costs about one product of [out, in] and [in, in].
// Sources: COMQ (arXiv 2403.07134) for the codes; least squares along one scale for the refits.
#include "native/cpu/descend.h"

#include <algorithm>
#include <cfloat>
#include <numeric>
#include <optional>

#include "native/backend/descent_passes.h"
#include "native/backend/super_block_params.h"
#include "native/cpu/descent_state.h"
#include "native/cpu/gemm.h"
#include "native/cpu/grid.h"
#include "native/cpu/move_scale.h"
#include "native/cpu/wide_refit.h"

namespace ballast::cpu {
namespace {

constexpr std::int64_t kBlock = 128;
// From a column's rows to the next one's: no power of two, so they fall into different cache sets.
constexpr std::int64_t kPitch = DescentState::kMostRows + 16;

class Descent {
 public:
  Descent(const Context& context, const DescendParams& params)
      : params_(params),
        kernels_(context.kernels),
        state_(context, params),
        lanes_(state_.lanes),
        padded_(state_.padded),
        columns_(state_.columns),
        group_size_(state_.group_size),
        wide_(group_size_ > kBlock),
        residual_(columns_ * padded_, context.blocks),
        moved_(kBlock * padded_, context.blocks),
        taken_(padded_),
        group_sums_(state_.has_steps ? kBlock / group_size_ * kBlock : 0) {}

  void Run() {
    Start();
    const auto count = static_cast<std::size_t>(1 + 2 * params_.rounds);
    DescendPasses(
        params_, {params_.errors.f64(), count}, [&] { return TotalError(); },
        [&] { return Pass(); }, [&] { return Rounding(); });
    state_.Save();
  }

 private:
  // ---- The start ----

  void Start() {
    if (wide_ && params_.refit) wide_refit_.emplace(state_, residual_.data());
    if (params_.unrounded) {
      // Nothing is lost yet; one sweep rounds column after column.
      std::fill_n(residual_.data(), columns_ * padded_, 0.0f);
      ForBlocks([&](std::int64_t begin, std::int64_t end) { Sweep(begin, end, true); });
      return;
    }
    state_.ForStretches(
        [&](std::int64_t first, std::int64_t count) { SubtractQuantized(first, count); });
    MultiplyByMatrix(state_, 0, columns_, state_.delta.data(), residual_.data());
  }

  void SubtractQuantized(std::int64_t first, std::int64_t count) {
    for (std::int64_t j = 0; j < columns_; ++j) {
      const std::int64_t at = j / group_size_ * padded_ + first;
      float* delta = state_.delta.data() + j * padded_ + first;
      const std::uint8_t* codes = state_.codes.data() + j * padded_ + first;
      const float* scales = state_.scales.data() + at;
      const float* zeros = state_.zeros.data() + at;
      for (std::int64_t i = 0; i < count; ++i) {
        delta[i] -= scales[i] * (static_cast<float>(codes[i]) - zeros[i]);
      }
    }
  }

  // ---- A pass ----

  // Returns what the refits took off the error.
  double Pass() {
    std::fill_n(taken_.data(), padded_, 0.0);
    ForBlocks([&](std::int64_t begin, std::int64_t end) {
      if (wide_refit_ && begin % group_size_ == 0) wide_refit_->Run(begin / group_size_, taken_);
      if (!wide_ || params_.sweeps > 0) Sweep(begin, end, false);
    });
    return std::accumulate(taken_.data(), taken_.data() + padded_, 0.0);
  }

  // Blocks hold whole groups, or parts of one.
  template <class F>
  void ForBlocks(F body) {
    const std::int64_t whole_groups = kBlock / group_size_ * group_size_;
    for (std::int64_t begin = 0, end; begin < columns_; begin = end) {
      const std::int64_t group_end = (begin / group_size_ + 1) * group_size_;
      end = wide_ ? std::min(begin + kBlock, group_end) : std::min(begin + whole_groups, columns_);
      body(begin, end);
    }
  }

  void Sweep(std::int64_t begin, std::int64_t end, bool unrounded) {
    if (state_.has_steps) SumGroups(begin, end);
    state_.ForStretches([&](std::int64_t first, std::int64_t count) {
      Scratch<float> memory(5 * kBlock * kPitch + 2 * lanes_);
      const Stretch stretch = {begin, end - begin, first, count, memory.data()};
      Load(stretch);
      for (std::int64_t i = 0; i < count; i += lanes_) Block(stretch, i, unrounded);
      Save(stretch);
    });
    SubtractMoved(begin, end, 0, begin);
    SubtractMoved(begin, end, end, columns_);
  }

  // Σ_j M_jk over each group of the block, for its columns k: what an offset weighs by.
  void SumGroups(std::int64_t begin, std::int64_t end) {
    for (std::int64_t first = begin; first < end; first += group_size_) {
      float* sums = GroupSums((first - begin) / group_size_);
      std::fill_n(sums, end - begin, 0.0f);
      for (std::int64_t j = first; j < first + group_size_; ++j) {
        const float* row = state_.matrix + j * columns_ + begin;
        for (std::int64_t k = 0; k < end - begin; ++k) sums[k] += row[k];
      }
    }
  }
  float* GroupSums(std::int64_t group) { return group_sums_.data() + group * kBlock; }

  // r −= (what the block moved) M for columns from … to − 1.
  void SubtractMoved(std::int64_t begin, std::int64_t end, std::int64_t from, std::int64_t to) {
    Multiply(state_.context, AlgebraGemmFor(state_.context, params_.precision),
             {.a = {.data = state_.matrix + from * columns_ + begin, .stride = columns_},
              .b = {.data = moved_.data(), .stride = padded_, .depth_contiguous = false},
              .rows = to - from,
              .columns = padded_,
              .depth = end - begin,
              .out = residual_.data() + from * padded_,
              .stride = padded_,
              .update = Update::kSubtract});
  }

  // A block of columns of some rows. Arrays [kBlock, kPitch] hold a column's rows side by side.
  struct Stretch {
    std::int64_t begin, size;   // columns
    std::int64_t first, count;  // rows
    float* memory;

    float* codes(std::int64_t column) const { return memory + column * kPitch; }
    float* residual(std::int64_t column) const { return codes(kBlock + column); }
    float* moved(std::int64_t column) const { return residual(kBlock + column); }
    float* units() const { return moved(kBlock); }
    float* projection() const { return units() + kBlock * kPitch; }
    float* sums() const { return projection() + kBlock * kPitch; }
  };

  // The rows from `row` of the stretch on that a vector holds.
  void Block(const Stretch& stretch, std::int64_t row, bool unrounded) {
    const std::int64_t begin = stretch.begin, first = stretch.first + row;
    DescentColumns columns = {.matrix = state_.matrix + begin * (columns_ + 1),
                              .stride = columns_,
                              .pitch = kPitch,
                              .begin = 0,
                              .end = 0,
                              .block_end = stretch.size,
                              .scale = nullptr,
                              .zero = nullptr,
                              .max_code = MaxCode(params_.scheme.bits),
                              .codes = stretch.codes(0) + row,
                              .residual = stretch.residual(0) + row,
                              .moved = stretch.moved(0) + row,
                              .slope = stretch.sums(),
                              .curvature = stretch.sums() + lanes_,
                              .units = stretch.units(),
                              .projection = stretch.projection()};
    const auto for_groups = [&](auto body) {
      for (columns.begin = 0; columns.begin < stretch.size; columns.begin = columns.end) {
        columns.end = wide_ ? stretch.size : columns.begin + group_size_;
        const std::int64_t at = (begin + columns.begin) / group_size_ * padded_ + first;
        columns.scale = state_.scales.data() + at;
        columns.zero = state_.zeros.data() + at;
        body(at);
      }
    };
    if (unrounded) {
      for_groups([&](std::int64_t) {
        Unround(columns, begin, first);
        kernels_.linear.descend_columns(columns);
      });
      return;
    }
    if (params_.refit && !wide_) {
      for_groups([&](std::int64_t at) {
        state_.has_steps ? RefitSteps(columns, at, first) : Refit(columns, at, first);
      });
    }
    for (std::int64_t sweep = 0; sweep < params_.sweeps; ++sweep) {
      for_groups([&](std::int64_t) { kernels_.linear.descend_columns(columns); });
    }
  }

  // What the same rows hold some columns later.
  void Fetch(const float* rows, std::int64_t count) const {
    constexpr std::int64_t kLineFloats = 16;
    for (std::int64_t i = 0; i < count; i += kLineFloats) {
      __builtin_prefetch(rows + DescentState::kColumnsAhead * padded_ + i);
    }
  }

  void Load(const Stretch& stretch) const {
    for (std::int64_t j = 0; j < stretch.size; ++j) {
      const std::int64_t at = (stretch.begin + j) * padded_ + stretch.first;
      Fetch(residual_.data() + at, stretch.count);
      std::copy_n(state_.codes.data() + at, stretch.count, stretch.codes(j));
      std::copy_n(residual_.data() + at, stretch.count, stretch.residual(j));
      std::fill_n(stretch.moved(j), stretch.count, 0.0f);
    }
  }

  void Save(const Stretch& stretch) {
    for (std::int64_t j = 0; j < stretch.size; ++j) {
      const std::int64_t at = (stretch.begin + j) * padded_ + stretch.first;
      const float* codes = stretch.codes(j);
      const float* moved = stretch.moved(j);
      float* delta = state_.delta.data() + at;
      std::uint8_t* out = state_.codes.data() + at;
      Fetch(delta, stretch.count);
      Fetch(residual_.data() + at, stretch.count);
      for (std::int64_t i = 0; i < stretch.count; ++i) {
        // By way of int, which all instruction sets convert to in vectors.
        out[i] = static_cast<std::uint8_t>(static_cast<int>(codes[i]));
        delta[i] -= moved[i];
      }
      std::copy_n(stretch.residual(j), stretch.count, residual_.data() + at);
      std::copy_n(moved, stretch.count, moved_.data() + j * padded_ + stretch.first);
    }
  }

  // Codes that represent the weights exactly, and no ΔW.
  void Unround(const DescentColumns& columns, std::int64_t begin, std::int64_t first) {
    for (std::int64_t j = columns.begin; j < columns.end; ++j) {
      float* delta = state_.delta.data() + (begin + j) * padded_ + first;
      for (std::int64_t lane = 0; lane < lanes_; ++lane) {
        columns.codes[j * kPitch + lane] = delta[lane] / columns.scale[lane] + columns.zero[lane];
        delta[lane] = 0;
      }
    }
  }

  // A group inside a block; `at`: where the parameters of its first row are.
  void Refit(const DescentColumns& columns, std::int64_t at, std::int64_t first) {
    kernels_.linear.project_columns(columns);
    Scratch<float> change(lanes_);
    float* scales = state_.scales.data() + at;
    for (std::int64_t lane = 0; lane < lanes_; ++lane) {
      change[lane] = MoveScale(kernels_, params_.scheme.scale_dtype, columns.slope[lane],
                               columns.curvature[lane], scales + lane, &taken_[first + lane]);
    }
    kernels_.linear.shift_columns(columns, change.data());
  }

  // The same among multiples: the scale, and then the offset, which a unit of adds −1 to all
  // values.
  void RefitSteps(DescentColumns columns, std::int64_t at, std::int64_t first) {
    const SuperBlock super = SuperBlockOf(params_.scheme.bits);
    Scratch<float> change(lanes_), none(lanes_);
    std::fill_n(none.data(), lanes_, 0.0f);
    if (!super.symmetric) columns.zero = none.data();
    float* scales = state_.scales.data() + at;
    kernels_.linear.project_columns(columns);
    for (std::int64_t lane = 0; lane < lanes_; ++lane) {
      change[lane] = MoveMultiple(columns.slope[lane], columns.curvature[lane],
                                  {state_.scale_steps[at + lane], 1, super.most}, scales + lane,
                                  &taken_[first + lane]);
    }
    kernels_.linear.shift_columns(columns, change.data());
    if (super.symmetric) return;
    ProjectOnes(columns);
    for (std::int64_t lane = 0; lane < lanes_; ++lane) {
      float* offset = state_.offsets.data() + at + lane;
      change[lane] = -MoveMultiple(-columns.slope[lane], columns.curvature[lane],
                                   {state_.offset_steps[at + lane], 0, super.most}, offset,
                                   &taken_[first + lane]);
      state_.zeros[at + lane] = *offset / scales[lane];
    }
    kernels_.linear.shift_columns(columns, change.data());
  }

  // As project_columns, with units of 1.
  void ProjectOnes(const DescentColumns& p) {
    const float* sums = GroupSums(p.begin / group_size_);
    for (std::int64_t k = 0; k < p.block_end; ++k) {
      std::fill_n(p.projection + k * p.pitch, lanes_, sums[k]);
    }
    std::fill_n(p.slope, lanes_, 0.0f);
    float curvature = 0;
    for (std::int64_t j = p.begin; j < p.end; ++j) {
      std::fill_n(p.units + j * p.pitch, lanes_, 1.0f);
      const float* residual = p.residual + j * p.pitch;
      for (std::int64_t lane = 0; lane < lanes_; ++lane) p.slope[lane] += residual[lane];
      curvature += sums[j];
    }
    std::fill_n(p.curvature, lanes_, curvature);
  }

  // ---- Sums ----

  // Of r, which may raise the error where ΔW lies in directions that M hardly has.
  double Rounding() {
    double diagonal = 0;
    for (std::int64_t j = 0; j < columns_; ++j) {
      const float* delta = state_.delta.data() + j * padded_;
      const double square = kernels_.linear.dot(delta, delta, padded_);
      diagonal += square * state_.matrix[j * (columns_ + 1)];
    }
    const bool exact = params_.precision == Precision::kFloat32;
    return (exact ? FLT_EPSILON : 0x1p-15) * static_cast<double>(columns_) * diagonal;
  }

  // Σ ΔW r, column after column.
  double TotalError() {
    Scratch<double> errors(columns_);
    state_.context.pool.ParallelFor(
        columns_, 16,
        [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t j = begin; j < end; ++j) {
            errors[j] = kernels_.linear.dot(state_.delta.data() + j * padded_,
                                            residual_.data() + j * padded_, padded_);
          }
        },
        state_.context.cancel);
    return std::accumulate(errors.data(), errors.data() + columns_, 0.0);
  }

  const DescendParams& params_;
  const Kernels& kernels_;
  DescentState state_;
  const std::int64_t lanes_;
  const std::int64_t padded_;
  const std::int64_t columns_;
  const std::int64_t group_size_;
  const bool wide_;            // groups are larger than a block
  Scratch<float> residual_;    // [in, padded] r = ΔW M
  Scratch<float> moved_;       // [kBlock, padded]: what the block at hand changed Q by
  Scratch<double> taken_;      // [padded]: what a pass's refits took off each row's error
  Scratch<float> group_sums_;  // [groups of a block, kBlock]: sums over their rows of M
  std::optional<WideRefit> wide_refit_;
};

}  // namespace

void Descend(const Context& context, const DescendParams& params) {
  Descent(context, params).Run();
}

}  // namespace ballast::cpu
