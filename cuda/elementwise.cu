// Arithmetic on single elements. Every kernel reads and writes each element once.
#include "cuda/activation.cuh"
#include "cuda/map.cuh"
#include "cuda/operations.h"

namespace ballast::cuda {
namespace {

// With the operation as a type: one kernel each, no branch inside.
template <class F>
void Combine(const Context& context, const BinaryParams& p, F f) {
  const std::int64_t count = p.a.shape.elements(), period = p.b.shape.elements();
  const Whole a = {p.a.f32()};
  WithOperandType(p.out.dtype, [&](auto type) {
    auto* const out = p.out.as<typename decltype(type)::type>();
    if (count == period) {
      Map(context, "binary", count, out, f, a, Whole{p.b.f32()});
    } else {
      Map(context, "binary", count, out, f, a, Repeated{p.b.f32(), period});
    }
  });
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

// The same of one operand.
template <class F>
void MapOne(const Context& context, const char* operation, const MapParams& p, F f) {
  Map(context, operation, p.in.shape.elements(), p.out.f32(), f, Whole{p.in.f32()});
}

template <Activation kKind>
struct Activated {
  __device__ float operator()(float x) const { return activate_element(kKind, x); }
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
  const double factor = params.value;  // such as 1/n: seldom a float32
  MapOne(context, "scale", params,
         [=] __device__(float x) { return static_cast<float>(x * factor); });
}

void Activate(const Context& context, const MapParams& params) {
  const auto map = [&](auto f) { MapOne(context, "activate", params, f); };
  switch (params.activation) {
    case Activation::kRelu:
      return map(Activated<Activation::kRelu>{});
    case Activation::kGelu:
      return map(Activated<Activation::kGelu>{});
    case Activation::kGeluTanh:
      return map(Activated<Activation::kGeluTanh>{});
    case Activation::kQuickGelu:
      return map(Activated<Activation::kQuickGelu>{});
    case Activation::kSilu:
      return map(Activated<Activation::kSilu>{});
    case Activation::kSigmoid:
      return map(Activated<Activation::kSigmoid>{});
    case Activation::kTanh:
      return map(Activated<Activation::kTanh>{});
    default:
      return map(Activated<Activation::kNone>{});
  }
}

void Softcap(const Context& context, const MapParams& params) {
  const auto cap = static_cast<float>(params.value);
  MapOne(context, "softcap", params, [=] __device__(float x) { return tanhf(x / cap) * cap; });
}

}  // namespace ballast::cuda
