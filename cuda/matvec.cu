// Reads each weight once; products and sums are float64.
#include "cuda/operations.h"
#include "cuda/row_dot.cuh"

namespace ballast::cuda {

void Matvec(const Context& context, const MatvecParams& params) {
  WithWeightType(params.weight.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    RowDot(context, "matvec", params.weight.as<T>(), params.vector.f64(), 0, params.weight.rows(),
           params.weight.cols(), params.out.f64());
  });
}

}  // namespace ballast::cuda
