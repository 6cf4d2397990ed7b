// Arithmetic on single elements: ranges of the flat data in parallel, each given to a row kernel.
#include "native/cpu/elementwise.h"

#include <algorithm>
#include <cstring>

#include "native/cpu/conversion.h"

namespace ballast::cpu {
namespace {

// Elements of a task: 256 KiB of float32, far more than a task costs to start.
constexpr std::int64_t kGrain = 65536;
// Elements that are made aside to be rounded.
constexpr std::int64_t kPiece = 1024;

}  // namespace

UnaryKernel ActivationKernel(const RowKernels& kernels, Activation kind) {
  switch (kind) {
    case Activation::kNone:
      return nullptr;
    case Activation::kRelu:
      return kernels.relu;
    case Activation::kGelu:
      return kernels.gelu;
    case Activation::kGeluTanh:
      return kernels.gelu_tanh;
    case Activation::kQuickGelu:
      return kernels.quick_gelu;
    case Activation::kSilu:
      return kernels.silu;
    case Activation::kSigmoid:
      return kernels.sigmoid;
    case Activation::kTanh:
      return kernels.tanh;
  }
  return nullptr;
}

void Binary(const Context& context, BinaryKind kind, const View& a, const View& b,
            const View& out) {
  const RowKernels& row = context.kernels.row;
  const BinaryKernel kernel = kind == BinaryKind::kAdd        ? row.add
                              : kind == BinaryKind::kSubtract ? row.subtract
                                                              : row.multiply;
  const std::int64_t period = b.shape.elements();
  const bool rounds = out.dtype != DType::kFloat32;
  const std::int64_t most = rounds ? kPiece : kGrain;
  context.pool.ParallelFor(
      a.shape.elements(), kGrain,
      [&](std::int64_t begin, std::int64_t end) {
        float piece[kPiece];
        while (begin < end) {
          const std::int64_t offset = begin % period;
          const std::int64_t n = std::min({end - begin, period - offset, most});
          float* const result = rounds ? piece : out.f32() + begin;
          kernel(a.f32() + begin, b.f32() + offset, n, result);
          if (rounds) WriteFloats(context.kernels, piece, n, out, begin);
          begin += n;
        }
      },
      context.cancel);
}

void Scale(const Context& context, const View& in, double factor, const View& out) {
  context.pool.ParallelFor(
      in.shape.elements(), kGrain,
      [&](std::int64_t begin, std::int64_t end) {
        context.kernels.row.scale(in.f32() + begin, factor, end - begin, out.f32() + begin);
      },
      context.cancel);
}

void Activate(const Context& context, Activation kind, const View& in, const View& out) {
  const UnaryKernel kernel = ActivationKernel(context.kernels.row, kind);
  context.pool.ParallelFor(
      in.shape.elements(), kGrain,
      [&](std::int64_t begin, std::int64_t end) {
        const std::int64_t n = end - begin;
        if (kernel == nullptr) {
          std::memcpy(out.f32() + begin, in.f32() + begin,
                      static_cast<std::size_t>(n) * sizeof(float));
        } else {
          kernel(in.f32() + begin, n, out.f32() + begin);
        }
      },
      context.cancel);
}

void Softcap(const Context& context, const View& in, double cap, const View& out) {
  context.pool.ParallelFor(
      in.shape.elements(), kGrain,
      [&](std::int64_t begin, std::int64_t end) {
        context.kernels.row.softcap(in.f32() + begin, static_cast<float>(cap), end - begin,
                                    out.f32() + begin);
      },
      context.cancel);
}

}  // namespace ballast::cpu
