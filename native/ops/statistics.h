// Sums over calibration tokens and what is computed from them. Sums are updated in place, so that
// mini-batches, samples and devices merge by addition. Formulas: native/backend/params.h.
#pragma once

#include "native/ops/check.h"
#include "native/ops/device.h"

namespace ballast {

// sum [c] float64 += column sums of x [n, c].
void ChannelSum(Device& device, const Tensor& x, const Tensor& sum);
// sum [cx, cy] += (x − shift_x)ᵀ(y − shift_y); without y symmetric and only the upper triangle.
void SecondMoment(Device& device, const Tensor& x, const OptionalTensor& y,
                  const OptionalTensor& shift_x, const OptionalTensor& shift_y, const Tensor& sum,
                  Precision precision);

struct MomentOptions {
  double count = 1;
  bool centred = false;
  bool symmetric = false;
};
Tensor Moment(Device& device, const Tensor& sum, const Tensor& mean_x, const Tensor& mean_y,
              const OptionalTensor& shift_x, const OptionalTensor& shift_y,
              const MomentOptions& options);

// [out] float64.
Tensor Matvec(Device& device, const Tensor& weight, const Tensor& vector);
// [out] float64: Δ_o M Δ_oᵀ (or Δ_o M other_oᵀ).
Tensor QuadraticForm(Device& device, const Tensor& delta, const Tensor& matrix,
                     const OptionalTensor& other, Precision precision);

}  // namespace ballast
