// With u = code − zero, a scale's change δ makes e − 2δ (u M ΔWᵀ) + δ² (u M uᵀ) of its row's error:
// so one float32 product, u M, is all it takes. It is made for a band of rows at a time, which
// keeps it small; the sums are float64. Damping is added to the sums, not to a copy of M.
#include "native/cpu/refit_scales.h"

#include <algorithm>
#include <cmath>

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

class Refit {
 public:
  Refit(const Context& context, const RefitScalesParams& params)
      : context_(context),
        params_(params),
        n_(params.weight.cols()),
        band_(BandRows(params.weight.rows(), n_)),
        units_(band_ * n_),
        product_(band_ * n_),
        damping_(params.damping * Trace(params.matrix.f32(), n_) / static_cast<double>(n_)),
        whole_units_(HasWholeZeros(params.zeros)) {}

  void Run() {
    const std::int64_t rows = params_.weight.rows();
    for (std::int64_t first = 0; first < rows; first += band_) {
      const std::int64_t band = std::min(band_, rows - first);
      ForEachRow(context_, band, kRowsOfTask,
                 [&](std::int64_t i) { MakeUnits(first + i, units_.data() + i * n_); });
      Multiply(context_, AlgebraGemmFor(context_, whole_units_),
               {.a = {.data = units_.data(), .stride = n_},
                .b = {.data = params_.matrix.f32(), .stride = n_, .depth_contiguous = false},
                .rows = band,
                .columns = n_,
                .depth = n_,
                .out = product_.data(),
                .stride = n_});
      ForEachRow(context_, band, kRowsOfTask, [&](std::int64_t i) {
        RefitRow(first + i, units_.data() + i * n_, product_.data() + i * n_);
      });
    }
  }

 private:
  void MakeUnits(std::int64_t row, float* units) const {
    const std::uint8_t* codes = params_.codes.u8() + row * n_;
    const float zero = params_.zeros.f32()[row];
    for (std::int64_t j = 0; j < n_; ++j) units[j] = static_cast<float>(codes[j]) - zero;
  }

  void RefitRow(std::int64_t row, const float* units, const float* product) const {
    const auto dot = context_.kernels.linear.dot;
    float* scale = params_.scales.f32() + row;
    Scratch<float> memory(n_);
    float* delta = memory.data();
    ReadFloats(context_.kernels, params_.weight, row * n_, n_, delta);
    for (std::int64_t j = 0; j < n_; ++j) delta[j] -= *scale * units[j];
    const double slope = dot(product, delta, n_) + damping_ * dot(units, delta, n_);
    const double curvature = dot(product, units, n_) + damping_ * dot(units, units, n_);
    double taken = 0;
    MoveScale(context_.kernels, params_.scale_dtype, slope, curvature, scale, &taken);
  }

  const Context& context_;
  const RefitScalesParams& params_;
  const std::int64_t n_;
  const std::int64_t band_;
  Scratch<float> units_;    // [band, in] u
  Scratch<float> product_;  // [band, in] u M
  const double damping_;
  const bool whole_units_;  // bfloat16 holds them
};

}  // namespace

void RefitScales(const Context& context, const RefitScalesParams& params) {
  if (params.weight.shape.elements() == 0) return;
  Refit(context, params).Run();
}

}  // namespace ballast::cpu
