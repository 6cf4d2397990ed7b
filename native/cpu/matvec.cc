// Reads each weight once: a piece of a row is converted to float32 and its products are summed in
// float64.
#include "native/cpu/matvec.h"

#include <algorithm>

#include "native/cpu/conversion.h"
#include "native/cpu/scratch.h"

namespace ballast::cpu {

void Matvec(const Context& context, const MatvecParams& params) {
  constexpr std::int64_t kPiece = 2048;
  const std::int64_t n = params.weight.cols();
  const bool is_float = params.weight.dtype == DType::kFloat32;
  const double* vector = params.vector.f64();
  context.pool.ParallelFor(
      params.weight.rows(), 16,
      [&](std::int64_t begin, std::int64_t end) {
        Scratch<float> converted(is_float ? 0 : kPiece);
        for (std::int64_t i = begin; i < end; ++i) {
          double sum = 0;
          for (std::int64_t j = 0; j < n; j += kPiece) {
            const std::int64_t count = std::min(kPiece, n - j);
            const float* piece = converted.data();
            if (is_float) {
              piece = params.weight.f32() + i * n + j;
            } else {
              ReadFloats(context.kernels, params.weight, i * n + j, count, converted.data());
            }
            sum += context.kernels.linear.dot_double(piece, vector + j, count);
          }
          params.out.f64()[i] = sum;
        }
      },
      context.cancel);
}

}  // namespace ballast::cpu
