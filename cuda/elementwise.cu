// Arithmetic on single elements. Every kernel reads and writes each element once.
#include "cuda/activation.cuh"
#include "cuda/grid_loop.cuh"
#include "cuda/operations.h"

namespace ballast::cuda {
namespace {

// With the operation as a type: one kernel each, no branch inside.
template <class F>
void Combine(const Context& context, const BinaryParams& p, F f) {
  const float* a = p.a.f32();
  const float* b = p.b.f32();
  float* out = p.out.f32();
  const std::int64_t count = p.a.shape.elements(), period = p.b.shape.elements();
  if (count == period) {
    ForEach(context, "binary", count, [=] __device__(std::int64_t i) { out[i] = f(a[i], b[i]); });
  } else {
    ForEach(context, "binary", count,
            [=] __device__(std::int64_t i) { out[i] = f(a[i], b[i % period]); });
  }
}

struct Add {
  __device__ float operator()(float a, float b) const { return a + b; }
};
struct Subtract {
  __device__ float operator()(float a, float b) const { return a - b; }
};
struct Multiply {
  __device__ float operator()(float a, float b) const { return a * b; }
};

}  // namespace

void Binary(const Context& context, const BinaryParams& params) {
  switch (params.kind) {
    case BinaryKind::kAdd:
      return Combine(context, params, Add{});
    case BinaryKind::kSubtract:
      return Combine(context, params, Subtract{});
    case BinaryKind::kMultiply:
      return Combine(context, params, Multiply{});
  }
}

void Scale(const Context& context, const MapParams& params) {
  const float* in = params.in.f32();
  float* out = params.out.f32();
  const double factor = params.value;  // such as 1/n: seldom a float32
  ForEach(context, "scale", params.in.shape.elements(),
          [=] __device__(std::int64_t i) { out[i] = static_cast<float>(in[i] * factor); });
}

void Activate(const Context& context, const MapParams& params) {
  const float* in = params.in.f32();
  float* out = params.out.f32();
  const Activation kind = params.activation;
  ForEach(context, "activate", params.in.shape.elements(),
          [=] __device__(std::int64_t i) { out[i] = activate_element(kind, in[i]); });
}

void Softcap(const Context& context, const MapParams& params) {
  const float* in = params.in.f32();
  float* out = params.out.f32();
  const auto cap = static_cast<float>(params.value);
  ForEach(context, "softcap", params.in.shape.elements(),
          [=] __device__(std::int64_t i) { out[i] = tanhf(in[i] / cap) * cap; });
}

}  // namespace ballast::cuda
