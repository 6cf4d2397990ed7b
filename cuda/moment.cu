// One thread an element (of the upper triangle, where the result is symmetric, written on both
// sides of the diagonal). The same float64 operations as on the CPU, in the same order.
#include "cuda/grid_loop.cuh"
#include "cuda/operations.h"

namespace ballast::cuda {
namespace {

struct Axis {
  const double* mean;
  const float* shift;  // may be null

  __device__ double shift_at(std::int64_t i) const { return shift == nullptr ? 0.0 : shift[i]; }
  __device__ double distance(std::int64_t i) const { return mean[i] - shift_at(i); }
};

}  // namespace

void Moment(const Context& context, const MomentParams& p) {
  const std::int64_t columns = p.sum.cols();
  const Axis x = {p.mean_x.f64(), p.shift_x.f32()};
  const Axis y = {p.mean_y.f64(), p.shift_y.f32()};
  const float* sum = p.sum.f32();
  float* out = p.out.f32();
  const double count = p.count;
  const bool centred = p.centred, symmetric = p.symmetric;
  ForEach(context, "moment", p.sum.shape.elements(), [=] __device__(std::int64_t index) {
    const std::int64_t i = index / columns, j = index % columns;
    if (symmetric && j < i) return;
    const double distance_factor = centred ? -x.distance(i) : x.shift_at(i);
    const double shift_factor = centred ? 0.0 : x.distance(i) + x.shift_at(i);
    const auto value = static_cast<float>(sum[index] / count + distance_factor * y.distance(j) +
                                          shift_factor * y.shift_at(j));
    out[index] = value;
    if (symmetric) out[j * columns + i] = value;
  });
}

}  // namespace ballast::cuda
