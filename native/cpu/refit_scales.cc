// With u_g = code − zero on group g and zero elsewhere, changes δ_g of a row's scales make
//   e − 2 Σ_g δ_g (u_g M ΔWᵀ) + Σ_gh δ_g δ_h (u_g M u_hᵀ)
// of its error: of the products u_g M these sums are all that is kept, so that rounds over a row's
// scales touch no matrix. Damping is added to the sums, not to a copy of M.
#include "native/cpu/refit_scales.h"

#include <algorithm>
#include <cmath>

#include "native/backend/refit_rounds.h"
#include "native/core/divide_up.h"
#include "native/cpu/bands.h"
#include "native/cpu/conversion.h"
#include "native/cpu/gemm.h"
#include "native/cpu/move_scale.h"
#include "native/cpu/rows.h"
#include "native/cpu/scratch.h"
#include "native/cpu/trace.h"

namespace ballast::cpu {
namespace {

constexpr std::int64_t kRowsOfTask = 16;

// Whether code − zero is a whole number of at most 8 bits, as codes are.
bool HasWholeZeros(const View& zeros) {
  return std::all_of(zeros.f32(), zeros.f32() + zeros.shape.elements(), [](float zero) {
    return zero >= 0 && zero <= 255 && zero == std::trunc(zero);
  });
}

// Two parts of M will do: what M is off by moves a scale off its best, where e is flat, so that e
// loses the square of that alone.
const GemmKernels& GemmOf(const Context& context, const RefitScalesParams& params) {
  const bool splits = context.float32_products == Float32Products::kSix;
  return splits && HasWholeZeros(params.zeros) ? context.kernels.linear.bfloat16.two_products
                                               : AlgebraGemmFor(context, params.precision);
}

// What some columns add to (u_g M) · uᵀ and to (u_g M) · ΔWᵀ.
struct Sums {
  double with[2];
};

class Refit {
 public:
  Refit(const Context& context, const RefitScalesParams& params)
      : context_(context),
        params_(params),
        gemm_(GemmOf(context, params)),
        n_(params.weight.cols()),
        groups_(params.scales.cols()),
        size_(n_ / groups_),
        parts_(DivideUp(n_, gemm_.block_columns) + groups_),
        band_(BandRows(params.weight.rows(), std::max(n_, groups_ * groups_))),
        units_(band_ * n_, context.blocks),
        delta_(band_ * n_, context.blocks),
        product_(size_ > gemm_.depth ? band_ * n_ : 0, context.blocks),
        part_(band_ * parts_),
        gram_(band_ * groups_ * groups_, context.blocks),
        slopes_(band_ * groups_),
        damping_(params.damping * Trace(params.matrix.f32(), n_) / static_cast<double>(n_)) {}

  void Run() {
    const std::int64_t rows = params_.weight.rows();
    for (first_ = 0; first_ < rows; first_ += band_) {
      const std::int64_t band = std::min(band_, rows - first_);
      ForEachRow(context_, band, kRowsOfTask, [&](std::int64_t i) { Load(i); });
      for (std::int64_t group = 0; group < groups_; ++group) {
        Project(group, band);
        ForEachRow(context_, band, kRowsOfTask, [&](std::int64_t i) { Gather(i, group); });
      }
      ForEachRow(context_, band, kRowsOfTask, [&](std::int64_t i) { MoveScales(i); });
    }
  }

 private:
  float* Units(std::int64_t i) { return units_.data() + i * n_; }
  float* Delta(std::int64_t i) { return delta_.data() + i * n_; }
  double* Gram(std::int64_t i) { return gram_.data() + i * groups_ * groups_; }
  double* Slopes(std::int64_t i) { return slopes_.data() + i * groups_; }
  float* Scales(std::int64_t i) { return params_.scales.f32() + (first_ + i) * groups_; }
  // Of columns that lie in a block of the product's and in a group: both only grow along a row.
  Sums& Part(std::int64_t i, std::int64_t block, std::int64_t group) {
    return part_[i * parts_ + block + group];
  }

  void Load(std::int64_t i) {
    const std::int64_t row = first_ + i;
    const std::uint8_t* codes = params_.codes.u8() + row * n_;
    const float* zeros = params_.zeros.f32() + row * groups_;
    ReadFloats(context_.kernels, params_.weight, row * n_, n_, Delta(i));
    for (std::int64_t g = 0; g < groups_; ++g) {
      for (std::int64_t j = g * size_; j < (g + 1) * size_; ++j) {
        Units(i)[j] = static_cast<float>(codes[j]) - zeros[g];
        Delta(i)[j] -= Scales(i)[g] * Units(i)[j];
      }
    }
  }

  // u_g M of the band, for its parts.
  void Project(std::int64_t group, std::int64_t band) {
    const std::int64_t begin = group * size_;
    Multiply(
        context_, gemm_,
        {.a = {.data = Units(0) + begin, .stride = n_},
         .b = {.data = params_.matrix.f32() + begin * n_, .stride = n_, .depth_contiguous = false},
         .rows = band,
         .columns = n_,
         .depth = size_,
         .out = size_ > gemm_.depth ? product_.data() : nullptr,
         .stride = n_},
        [&](const Finished& stretch) { SumParts(stretch); });
  }

  void SumParts(const Finished& stretch) {
    const auto dot_pair = context_.kernels.linear.dot_pair;
    const std::int64_t block = stretch.column / gemm_.block_columns;
    const std::int64_t columns_end = stretch.column + stretch.columns;
    for (std::int64_t r = 0; r < stretch.rows; ++r) {
      const std::int64_t i = stretch.row + r;
      const float* product = stretch.sums + r * stretch.stride;
      for (std::int64_t end, begin = stretch.column; begin < columns_end; begin = end) {
        const std::int64_t group = begin / size_;
        end = std::min((group + 1) * size_, columns_end);
        const std::int64_t count = end - begin;
        dot_pair(product, Units(i) + begin, Delta(i) + begin, count, Part(i, block, group).with);
        product += count;
      }
    }
  }

  // The parts of a row's group.
  void Gather(std::int64_t i, std::int64_t group) {
    double slope = 0;
    for (std::int64_t g = 0; g < groups_; ++g) {
      double sum = 0;
      const std::int64_t last = ((g + 1) * size_ - 1) / gemm_.block_columns;
      for (std::int64_t block = g * size_ / gemm_.block_columns; block <= last; ++block) {
        const Sums& part = Part(i, block, g);
        sum += part.with[0];
        slope += part.with[1];
      }
      Gram(i)[group * groups_ + g] = sum;
    }
    Slopes(i)[group] = slope;
  }

  void MoveScales(std::int64_t i) {
    AddDamping(i);
    double taken = 0, before = 0;
    for (int round = 0; round < kMostRefitRounds; ++round) {
      for (std::int64_t g = 0; g < groups_; ++g) MoveOne(i, g, &taken);
      if (groups_ == 1 || taken - before <= kLeastRefitShare * taken) return;
      before = taken;
    }
  }

  void AddDamping(std::int64_t i) {
    const auto dot = context_.kernels.linear.dot;
    for (std::int64_t g = 0; g < groups_; ++g) {
      const float* units = Units(i) + g * size_;
      Slopes(i)[g] += damping_ * dot(units, Delta(i) + g * size_, size_);
      Gram(i)[g * (groups_ + 1)] += damping_ * dot(units, units, size_);
    }
  }

  void MoveOne(std::int64_t i, std::int64_t group, double* taken) {
    const double* curvatures = Gram(i) + group * groups_;
    const float change = MoveScale(context_.kernels, params_.scale_dtype, Slopes(i)[group],
                                   curvatures[group], Scales(i) + group, taken);
    if (change == 0) return;
    for (std::int64_t g = 0; g < groups_; ++g) Slopes(i)[g] -= change * curvatures[g];
  }

  const Context& context_;
  const RefitScalesParams& params_;
  const GemmKernels& gemm_;
  const std::int64_t n_;
  const std::int64_t groups_;
  const std::int64_t size_;  // of a group
  const std::int64_t parts_;
  const std::int64_t band_;
  std::int64_t first_ = 0;  // row of the band
  Scratch<float> units_;    // [band, in] u
  Scratch<float> delta_;    // [band, in]
  Scratch<float> product_;  // [band, in], where a product takes several stretches of the depth
  Scratch<Sums> part_;      // [band, parts], of one group
  Scratch<double> gram_;    // [band, groups, groups]
  Scratch<double> slopes_;  // [band, groups]
  const double damping_;
};

}  // namespace

void RefitScales(const Context& context, const RefitScalesParams& params) {
  if (params.weight.shape.elements() == 0) return;
  Refit(context, params).Run();
}

}  // namespace ballast::cpu
