// v = u R, u = code − zero, is all that a row's scale needs beside the sweep's errors: its change δ
// makes |e − δ v|² = e² − 2δ (v·e) + δ² (v·v) of them. R is upper triangular, so a stretch of
// columns of v takes the columns of u up to its end: half of a product, of which sums alone are
// kept.
#include "native/cpu/swept_refit.h"

#include <algorithm>

#include "native/cpu/bands.h"
#include "native/cpu/gemm.h"
#include "native/cpu/move_scale.h"
#include "native/cpu/rows.h"
#include "native/cpu/scratch.h"

namespace ballast::cpu {
namespace {

constexpr std::int64_t kRowsOfTask = 16;
constexpr std::int64_t kColumns = 512;  // of a stretch

// v·v and v·e of a row.
struct Sums {
  double curvature;
  double slope;
};

class SweptRefit {
 public:
  SweptRefit(const Context& context, const RefitSweptParams& params)
      : context_(context),
        params_(params),
        gemm_(NarrowGemmFor(context, Precision::kBFloat16)),
        n_(params.codes.cols()),
        band_(BandRows(params.codes.rows(), n_)),
        units_(band_ * n_, context.blocks),
        product_(band_ * kColumns, context.blocks),
        sums_(band_) {}

  void Run() {
    const std::int64_t rows = params_.codes.rows();
    for (first_ = 0; first_ < rows; first_ += band_) {
      const std::int64_t band = std::min(band_, rows - first_);
      ForEachRow(context_, band, kRowsOfTask, [&](std::int64_t i) { MakeUnits(i); });
      for (std::int64_t begin = 0; begin < n_; begin += kColumns) {
        const std::int64_t columns = std::min(kColumns, n_ - begin);
        Multiply(begin, columns, band);
        ForEachRow(context_, band, kRowsOfTask,
                   [&](std::int64_t i) { AddSums(i, begin, columns); });
      }
      ForEachRow(context_, band, kRowsOfTask, [&](std::int64_t i) { Move(i); });
    }
  }

 private:
  void MakeUnits(std::int64_t i) {
    const std::uint8_t* codes = params_.codes.u8() + (first_ + i) * n_;
    const float zero = params_.zeros.f32()[first_ + i];
    float* units = units_.data() + i * n_;
    for (std::int64_t j = 0; j < n_; ++j) units[j] = static_cast<float>(codes[j]) - zero;
    sums_[i] = {0, 0};
  }

  // These columns of v.
  void Multiply(std::int64_t begin, std::int64_t columns, std::int64_t band) {
    cpu::Multiply(
        context_, gemm_,
        {.a = {.data = units_.data(), .stride = n_},
         .b = {.data = params_.factor.f32() + begin, .stride = n_, .depth_contiguous = false},
         .rows = band,
         .columns = columns,
         .depth = begin + columns,
         .out = product_.data(),
         .stride = kColumns});
  }

  void AddSums(std::int64_t i, std::int64_t begin, std::int64_t columns) {
    const float* product = product_.data() + i * kColumns;
    const float* errors = params_.errors.f32() + (first_ + i) * n_ + begin;
    double sums[2];
    context_.kernels.linear.dot_pair(product, product, errors, columns, sums);
    sums_[i].curvature += sums[0];
    sums_[i].slope += sums[1];
  }

  void Move(std::int64_t i) {
    double taken = 0;
    MoveScale(context_.kernels, params_.scale_dtype, sums_[i].slope, sums_[i].curvature,
              params_.scales.f32() + first_ + i, &taken);
  }

  const Context& context_;
  const RefitSweptParams& params_;
  const GemmKernels& gemm_;
  const std::int64_t n_;
  const std::int64_t band_;
  std::int64_t first_ = 0;  // row of the band
  Scratch<float> units_;    // [band, in] u
  Scratch<float> product_;  // [band, columns] v
  Scratch<Sums> sums_;      // [band]
};

}  // namespace

void RefitSwept(const Context& context, const RefitSweptParams& params) {
  if (params.codes.shape.elements() == 0) return;
  SweptRefit(context, params).Run();
}

}  // namespace ballast::cpu
