// Packs the factors for one of the kernels and launches it for their numbers of planes. Long
// tensors of tokens go in passes over their rows, so that the packed copy stays small next to what
// it is a copy of.
#include <algorithm>

#include "cuda/check.h"
#include "cuda/gemm.h"
#include "cuda/gemm_kernel.cuh"
#include "cuda/warpgroup_gemm.h"
#include "cuda/wide.cuh"

namespace ballast::cuda {
namespace {

constexpr std::int64_t kMostPackedBytes = std::int64_t{1} << 29;

template <int kPlanesA, int kPlanesB>
void Launch(const Context& context, const char* operation, const GemmArguments& arguments) {
  using S = Stages<kPlanesA, kPlanesB>;
  const auto kernel = gemm_kernel<kPlanesA, kPlanesB>;
  Check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, S::kBytes),
        "preparing a product");
  const GemmArguments tiled = Tiled<kTile, kTile>(arguments);
  const auto blocks = static_cast<unsigned>(tiled.tiles);
  kernel<<<blocks, kGemmThreads, S::kBytes, context.stream>>>(tiled);
  CheckLaunch(operation);
}

void Launch(const Context& context, const char* operation, int planes_a, int planes_b,
            const GemmArguments& arguments) {
  if (context.products != ProductKernel::kMmaSync) {
    return LaunchWarpgroups(context, operation, planes_a, planes_b, arguments);
  }
  if (planes_a == 1) return Launch<1, 1>(context, operation, arguments);
  if (planes_a == 2) return Launch<2, 2>(context, operation, arguments);
  if (planes_b == 1) return Launch<3, 1>(context, operation, arguments);
  if (planes_b == 2) return Launch<3, 2>(context, operation, arguments);
  return Launch<3, 3>(context, operation, arguments);
}

// Rows of A from `first` on.
Operand RowsFrom(const Operand& a, std::int64_t first) {
  Operand part = a;
  const std::int64_t elements = a.depth_contiguous ? first * a.stride : first;
  part.data =
      static_cast<const std::byte*>(a.data) + elements * static_cast<std::int64_t>(SizeOf(a.dtype));
  if (a.shift != nullptr) part.shift = a.shift + first;
  return part;
}

void MultiplyRows(const Context& context, const char* operation, const Product& p, const Packed& a,
                  const Packed& b, std::int64_t first, std::int64_t rows) {
  const auto from_first = [&](auto* data) {
    return data == nullptr ? nullptr : data + first * p.stride;
  };
  float* const out = from_first(p.out);
  Bfloat* const rounded = from_first(p.rounded);
  const float* const residual = from_first(p.residual);
  Launch(context, operation, a.planes, b.planes,
         {.a = a.data,
          .b = b.data,
          .a_plane = a.plane_size,
          .b_plane = b.plane_size,
          .depth = b.depth,
          .rows = rows,
          .columns = p.columns,
          .out = out,
          .rounded = rounded,
          .stride = p.stride,
          .bias = p.bias,
          .residual = residual,
          .activation = p.activation,
          .update = p.update,
          .upper = p.upper,
          .by_fours = p.stride % kWide == 0 && AreAligned(out, rounded, residual)});
}

}  // namespace

void Multiply(const Context& context, const char* operation, const Product& p) {
  if (p.rows == 0 || p.columns == 0) return;
  const bool tensor_tiles = context.products != ProductKernel::kMmaSync;
  const Layout layout = tensor_tiles ? Layout::kTiles : Layout::kRows;
  // Float32 products have all planes of A whatever it is: the kernel of one plane each would leave
  // the whole depth to the tensor cores.
  const bool exact = p.precision == Precision::kFloat32;
  const bool symmetric = p.upper && p.a.data == p.b.data;
  const int planes_a = exact ? kMostPlanes : p.precision == Precision::kBFloat16x3 ? 2 : 1;
  const int planes_b = exact && !symmetric ? PlanesOf(p.b.dtype) : planes_a;
  const Packed b = Pack(context, operation, p.b, p.columns, p.depth, planes_b, layout);
  if (symmetric) return MultiplyRows(context, operation, p, b, b, 0, p.rows);
  const std::int64_t row_bytes = std::max<std::int64_t>(b.depth, 1) * 2 * planes_a;
  const std::int64_t pass =
      p.upper
          ? p.rows
          : std::max<std::int64_t>(kMostPackedBytes / row_bytes / kItemUnit * kItemUnit, kItemUnit);
  for (std::int64_t first = 0; first < p.rows; first += pass) {
    context.ThrowIfCancelled();
    const std::int64_t rows = std::min(pass, p.rows - first);
    const Packed a =
        Pack(context, operation, RowsFrom(p.a, first), rows, p.depth, planes_a, layout);
    MultiplyRows(context, operation, p, a, b, first, rows);
  }
}

}  // namespace ballast::cuda
