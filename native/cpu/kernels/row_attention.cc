// Softmax of a query's scores, some keys at a time with a running maximum and sum (online softmax,
// arXiv 1805.02867).
#include <math.h>

#include "native/cpu/kernels/row_parts.h"
#include "native/cpu/kernels/vector_math.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

// Where nothing but a positive factor is done to scores, the softmax does it on its way.
bool OnlyScales(const AttentionRow& row) {
  return row.scale > 0 && row.softcap <= 0 && row.slope == 0 && row.bias == nullptr;
}

void Prepare(const AttentionRow& row) {
  float* s = row.scores;
  const float scale = row.scale;
  if (row.softcap > 0) {
    const float cap = row.softcap;
    Map(s, row.keys, s, [scale, cap](Floats x) { return Tanh(x * scale / cap) * cap; });
  } else {
    Map(s, row.keys, s, [scale](Floats x) { return x * scale; });
  }
  if (row.slope != 0) {
    for (std::int64_t j = 0; j < row.keys; ++j) {
      s[j] += row.slope * static_cast<float>(row.offset + j);
    }
  }
  if (row.bias != nullptr) {
    for (std::int64_t j = row.begin; j < row.end; ++j) s[j] += row.bias[j];
  }
}

// The nearest number of eight significant bits, as bfloat16 has them: Veltkamp's splitting (Dekker,
// A Floating-Point Technique for Extending the Available Precision, 1971). |x| <= 1.
Floats EightBits(Floats x) {
  const Floats scaled = x * 65537.0f;
  return scaled - (scaled - x);
}

// Scores times scale less `top` become weights; returns their sum.
template <bool kRounded>
float Weigh(float* scores, std::int64_t keys, float scale, float top) {
  Floats sum{};
  for (std::int64_t j = 0; j < keys; j += kLanes) {
    Floats e = ExpOfNonPositive(Load<Floats>(scores + j) * scale - top);
    if (kRounded) e = EightBits(e);
    Store(scores + j, e);
    sum += e;
  }
  return Sum(sum);
}

void Attend(const AttentionRow& row) {
  const bool only_scales = OnlyScales(row);
  if (!only_scales) Prepare(row);
  const float scale = only_scales ? row.scale : 1;
  float* s = row.scores;
  for (std::int64_t j = 0; j < row.begin; ++j) s[j] = -INFINITY;
  for (std::int64_t j = row.end; j < row.keys; ++j) s[j] = -INFINITY;
  Floats largest = Splat(-INFINITY);
  for (std::int64_t j = 0; j < row.keys; j += kLanes) largest = Max(Load<Floats>(s + j), largest);
  const float here = Largest(largest) * scale;
  const float before = *row.largest;
  const float top = here > before ? here : before;
  const float sum =
      row.rounded ? Weigh<true>(s, row.keys, scale, top) : Weigh<false>(s, row.keys, scale, top);
  const float correction = top == before ? 1.0f : ExpOfNonPositive(Splat(before - top))[0];
  if (correction != 1.0f) {
    Map(row.out, row.size, row.out, [correction](Floats o) { return o * correction; });
  }
  *row.sum = *row.sum * correction + sum;
  *row.largest = top;
}

}  // namespace

void AddAttentionKernels(RowKernels& table) { table.attend = Attend; }

}  // namespace ballast::cpu::BALLAST_ISA
