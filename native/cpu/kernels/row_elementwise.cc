// Sums, products, activations and rotary embedding of rows. The exponential activations are written
// as x / (1 + e^-z), which keeps their small negative tails precise: the relative error is that of
// z, some |z| units of the last place. gelu, x/2·(1 + erf(x/√2)), and gelu_tanh are within
// 2^-22·|x|.
#include "native/cpu/kernels/row_parts.h"
#include "native/cpu/kernels/vector_math.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

void Add(const float* a, const float* b, std::int64_t n, float* out) {
  Map(a, b, n, out, [](Floats x, Floats y) { return x + y; });
}

void Subtract(const float* a, const float* b, std::int64_t n, float* out) {
  Map(a, b, n, out, [](Floats x, Floats y) { return x - y; });
}

void Multiply(const float* a, const float* b, std::int64_t n, float* out) {
  Map(a, b, n, out, [](Floats x, Floats y) { return x * y; });
}

// In float64: a factor such as 1/n is seldom a float32.
void Scale(const float* in, double factor, std::int64_t n, float* out) {
  Map(in, n, out, [factor](Floats x) { return Join(Low(x) * factor, High(x) * factor); });
}

void ScaleSingle(const float* in, float factor, std::int64_t n, float* out) {
  Map(in, n, out, [factor](Floats x) { return x * factor; });
}

void Softcap(const float* in, float cap, std::int64_t n, float* out) {
  Map(in, n, out, [cap](Floats x) { return Tanh(x / cap) * cap; });
}

void Relu(const float* in, std::int64_t n, float* out) {
  Map(in, n, out, [](Floats x) { return Max(Floats{}, x); });
}

// x Φ(x) = max(x, 0) − |x| Φ(−|x|), Φ of the normal distribution: one exponential for both signs,
// and no digits lost on the negative side. Beyond 10, nothing is taken off.
void Gelu(const float* in, std::int64_t n, float* out) {
  Map(in, n, out, [](Floats x) {
    const Floats a = Min(Splat(10.0f), Abs(x));
    return Max(Floats{}, x) - a * NormalTail(a);
  });
}

// x/2·(1 + tanh z) = x / (1 + 2^-t), t = 2 log2(e) z, z = √(2/π)·(x + 0.044715 x³).
void GeluTanh(const float* in, std::int64_t n, float* out) {
  Map(in, n, out, [](Floats x) {
    const Floats minus_t = x * MultiplyAdd(x * x, Splat(-0.10294324f), Splat(-2.3022082f));
    return x / (Exp2Within(Min(Splat(128.0f), Max(Splat(-127.0f), minus_t))) + 1.0f);
  });
}

void QuickGelu(const float* in, std::int64_t n, float* out) {
  Map(in, n, out, [](Floats x) { return x / (Exp(x * -1.702f) + 1.0f); });
}

void Silu(const float* in, std::int64_t n, float* out) {
  Map(in, n, out, [](Floats x) { return x / (Exp(-x) + 1.0f); });
}

void Sigmoid(const float* in, std::int64_t n, float* out) {
  Map(in, n, out, [](Floats x) { return 1.0f / (Exp(-x) + 1.0f); });
}

void TanhRow(const float* in, std::int64_t n, float* out) {
  Map(in, n, out, [](Floats x) { return Tanh(x); });
}

// The pairs of a vector of results: what is even, what is odd.
inline void LoadPairs(const float* x, std::int64_t n, Floats* even, Floats* odd) {
  float halves[2][kLanes] = {};
  for (std::int64_t i = 0; i < n; ++i) {
    halves[0][i] = x[2 * i];
    halves[1][i] = x[2 * i + 1];
  }
  *even = Load<Floats>(halves[0]);
  *odd = Load<Floats>(halves[1]);
}

void ClampedSwiglu(const float* x, float slope, float limit, std::int64_t n, float* out) {
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const std::int64_t count = n - i < kLanes ? n - i : kLanes;
    Floats gate, up;
    LoadPairs(x + 2 * i, count, &gate, &up);
    gate = Min(Splat(limit), gate);
    up = Min(Splat(limit), Max(Splat(-limit), up));
    StorePart(out + i, (up + 1.0f) * (gate / (Exp(gate * -slope) + 1.0f)), count);
  }
}

void RotatePair(float a, float b, float cos, float sin, float* first, float* second) {
  *first = a * cos - b * sin;
  *second = b * cos + a * sin;
}

void Rope(const float* x, const float* cos, const float* sin, std::int64_t half, bool interleaved,
          float* out) {
  if (interleaved) {
    for (std::int64_t i = 0; i < half; ++i) {
      RotatePair(x[2 * i], x[2 * i + 1], cos[i], sin[i], out + 2 * i, out + 2 * i + 1);
    }
    return;
  }
  std::int64_t i = 0;
  for (; i + kLanes <= half; i += kLanes) {
    const Floats a = Load<Floats>(x + i), b = Load<Floats>(x + half + i);
    const Floats c = Load<Floats>(cos + i), s = Load<Floats>(sin + i);
    Store(out + i, a * c - b * s);
    Store(out + half + i, b * c + a * s);
  }
  for (; i < half; ++i) RotatePair(x[i], x[half + i], cos[i], sin[i], out + i, out + half + i);
}

}  // namespace

void AddElementwiseKernels(RowKernels& table) {
  table.add = Add;
  table.subtract = Subtract;
  table.multiply = Multiply;
  table.scale = Scale;
  table.scale_single = ScaleSingle;
  table.softcap = Softcap;
  table.relu = Relu;
  table.gelu = Gelu;
  table.gelu_tanh = GeluTanh;
  table.quick_gelu = QuickGelu;
  table.silu = Silu;
  table.sigmoid = Sigmoid;
  table.tanh = TanhRow;
  table.clamped_swiglu = ClampedSwiglu;
  table.rope = Rope;
}

}  // namespace ballast::cpu::BALLAST_ISA
