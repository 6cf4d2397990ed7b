// Softmax of a panel of queries' scores, some keys at a time with a running maximum and sum (online
// softmax, arXiv 1805.02867). A lane is a query: no sum or maximum crosses lanes.
#include <float.h>
#include <math.h>

#include "native/cpu/kernels/row_parts.h"
#include "native/cpu/kernels/vector_math.h"
#include "native/cpu/transpose_square.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

constexpr int kVectors = 2;  // of a panel
constexpr int kPanel = kVectors * kLanes;

// A number for each query of a panel.
struct Lanes {
  Floats vector[kVectors];
};

inline Lanes LoadPanel(const float* p) { return {Load<Floats>(p), Load<Floats>(p + kLanes)}; }

inline void StorePanel(float* p, const Lanes& lanes) {
  for (int v = 0; v < kVectors; ++v) Store(p + v * kLanes, lanes.vector[v]);
}

// The position of a vector's queries less that of key j.
inline Floats Distance(const AttentionPanel& panel, int vector, std::int64_t j) {
  constexpr float kLane[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return Load<Floats>(kLane) + static_cast<float>(panel.ahead + vector * kLanes - j);
}

void ScaleAndCap(const AttentionPanel& panel) {
  const float scale = panel.scale;
  const float cap = panel.softcap;
  for (std::int64_t j = 0; j < panel.keys; ++j) {
    float* s = panel.scores + j * panel.stride;
    if (cap > 0) {
      Map(s, kPanel, s, [scale, cap](Floats x) { return Tanh(x * scale / cap) * cap; });
    } else {
      Map(s, kPanel, s, [scale](Floats x) { return x * scale; });
    }
  }
}

void AddSlope(const AttentionPanel& panel) {
  for (std::int64_t j = 0; j < panel.keys; ++j) {
    float* s = panel.scores + j * panel.stride;
    for (int v = 0; v < kVectors; ++v, s += kLanes) {
      Store(s, Load<Floats>(s) - Distance(panel, v, j) * panel.slope);
    }
  }
}

// A square at a time: a row of the bias has the keys along memory.
void AddBias(const AttentionPanel& panel) {
  for (std::int64_t q = 0; q < panel.sums.queries; q += kLanes) {
    for (std::int64_t j = 0; j < panel.keys; j += kLanes) {
      const std::int64_t keys = panel.keys - j < kLanes ? panel.keys - j : kLanes;
      Floats square[kLanes] = {};
      for (int i = 0; i < kLanes && q + i < panel.sums.queries; ++i) {
        square[i] = LoadPart<Floats>(panel.bias + (q + i) * panel.bias_stride + j, keys);
      }
      TransposeSquare(square);
      for (std::int64_t i = 0; i < keys; ++i) {
        float* s = panel.scores + (j + i) * panel.stride + q;
        Store(s, Load<Floats>(s) + square[i]);
      }
    }
  }
}

// Keys that some query of the panel does not see: those behind the first one's position, and those
// that lie out of the last one's window.
void Mask(const AttentionPanel& panel) {
  const std::int64_t behind = panel.causal ? panel.ahead + 1 : panel.keys;
  const std::int64_t before = panel.window > 0 ? panel.ahead + kPanel - panel.window : 0;
  const float nearest = panel.causal ? 0 : -INFINITY;
  const float farthest = panel.window > 0 ? static_cast<float>(panel.window - 1) : INFINITY;
  for (std::int64_t j = 0; j < panel.keys; ++j) {
    if (j >= before && j < behind) j = behind;
    if (j >= panel.keys) return;
    float* s = panel.scores + j * panel.stride;
    for (int v = 0; v < kVectors; ++v, s += kLanes) {
      const Floats distance = Distance(panel, v, j);
      const Floats score = distance < nearest ? Splat(-INFINITY) : Load<Floats>(s);
      Store(s, distance > farthest ? Splat(-INFINITY) : score);
    }
  }
}

Lanes LargestOf(const AttentionPanel& panel) {
  constexpr int kChains = 4;
  Lanes largest[kChains];
  for (auto& lanes : largest) lanes = {Splat(-INFINITY), Splat(-INFINITY)};
  const auto take = [&](std::int64_t j, Lanes& to) {
    const Lanes scores = LoadPanel(panel.scores + j * panel.stride);
    for (int v = 0; v < kVectors; ++v) to.vector[v] = Max(scores.vector[v], to.vector[v]);
  };
  std::int64_t j = 0;
  for (; j + kChains <= panel.keys; j += kChains) {
    for (int i = 0; i < kChains; ++i) take(j + i, largest[i]);
  }
  for (; j < panel.keys; ++j) take(j, largest[0]);
  for (int i = 1; i < kChains; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      largest[0].vector[v] = Max(largest[i].vector[v], largest[0].vector[v]);
    }
  }
  return largest[0];
}

// The nearest number of eight significant bits, as bfloat16 has them: Veltkamp's splitting (Dekker,
// A Floating-Point Technique for Extending the Available Precision, 1971). |x| <= 1.
Floats EightBits(Floats x) {
  const Floats scaled = x * 65537.0f;
  return scaled - (scaled - x);
}

// Scores become weights, 2^((score − top)·unit); returns their sums.
template <bool kRounded, int kPerWord>
Lanes Weigh(const AttentionPanel& panel, float unit, const Lanes& top) {
  Lanes sums[2] = {};
  const auto weight = [&](std::int64_t j, int v, Floats& sum) {
    const Floats score = Load<Floats>(panel.scores + j * panel.stride + v * kLanes);
    Floats e = Exp2OfNonPositive((score - top.vector[v]) * unit);
    if (kRounded) e = EightBits(e);
    sum += e;
    return e;
  };
  const auto word = [&](std::int64_t i, int v, bool whole) {
    float* const out = panel.weights + i * kPanel + v * kLanes;
    if constexpr (kPerWord == 1) {
      Store(out, weight(i, v, sums[i % 2].vector[v]));
    } else {
      const Floats low = weight(2 * i, v, sums[0].vector[v]);
      const Floats high = whole ? weight(2 * i + 1, v, sums[1].vector[v]) : Floats{};
      const auto halves = reinterpret_cast<Words>(low) >> 16 | reinterpret_cast<Words>(high);
      Store(out, reinterpret_cast<Floats>(halves));
    }
  };
  const std::int64_t whole = panel.keys / kPerWord;
  std::int64_t i = 0;
  for (; i < whole; ++i) {
    for (int v = 0; v < kVectors; ++v) word(i, v, true);
  }
  if (i * kPerWord < panel.keys) {
    for (int v = 0; v < kVectors; ++v) word(i, v, false);
    ++i;
  }
  for (; i < panel.words; ++i) StorePanel(panel.weights + i * kPanel, {});
  return {sums[0].vector[0] + sums[1].vector[0], sums[0].vector[1] + sums[1].vector[1]};
}

Lanes Weigh(const AttentionPanel& panel, float unit, const Lanes& top) {
  if (!panel.rounded) return Weigh<false, 1>(panel, unit, top);
  return panel.per_word == 1 ? Weigh<true, 1>(panel, unit, top) : Weigh<true, 2>(panel, unit, top);
}

// What has been summed with weights of another maximum.
void Correct(const AttentionSums& sums, const Lanes& factor) {
  for (std::int64_t c = 0; c < sums.size; ++c) {
    float* out = sums.out + c * sums.stride;
    Lanes lanes = LoadPanel(out);
    for (int v = 0; v < kVectors; ++v) lanes.vector[v] *= factor.vector[v];
    StorePanel(out, lanes);
  }
}

void Attend(const AttentionPanel& panel) {
  // Where nothing but a positive factor is done to scores, weights are told by them as they are.
  if (!panel.only_scales) {
    ScaleAndCap(panel);
    if (panel.slope != 0) AddSlope(panel);
    if (panel.bias != nullptr) AddBias(panel);
  }
  Mask(panel);
  const float unit = kLog2E * (panel.only_scales ? panel.scale : 1);
  const Lanes here = LargestOf(panel);
  const Lanes before = LoadPanel(panel.sums.largest);
  Lanes top, factor;
  bool moved = false;
  for (int v = 0; v < kVectors; ++v) {
    top.vector[v] = Max(here.vector[v], before.vector[v]);
    factor.vector[v] = Exp2OfNonPositive((before.vector[v] - top.vector[v]) * unit);
    moved = moved || AnyLane(top.vector[v] != before.vector[v]);
  }
  const Lanes weights = Weigh(panel, unit, top);
  if (moved) Correct(panel.sums, factor);
  Lanes sum = LoadPanel(panel.sums.weight_sums);
  for (int v = 0; v < kVectors; ++v) {
    sum.vector[v] = sum.vector[v] * factor.vector[v] + weights.vector[v];
  }
  StorePanel(panel.sums.weight_sums, sum);
  StorePanel(panel.sums.largest, top);
}

void FinishAttention(const AttentionSums& sums, float* rows, std::int64_t row_stride) {
  for (std::int64_t q = 0; q < sums.queries; q += kLanes) {
    const Floats factor = 1.0f / Load<Floats>(sums.weight_sums + q);
    for (std::int64_t c = 0; c < sums.size; c += kLanes) {
      Floats square[kLanes] = {};
      for (int i = 0; i < kLanes && c + i < sums.size; ++i) {
        square[i] = Load<Floats>(sums.out + (c + i) * sums.stride + q) * factor;
      }
      TransposeSquare(square);
      for (int i = 0; i < kLanes && q + i < sums.queries; ++i) {
        Store(rows + (q + i) * row_stride + c, square[i]);
      }
    }
  }
}

}  // namespace

void AddAttentionKernels(RowKernels& table) {
  table.attend = Attend;
  table.finish_attention = FinishAttention;
}

}  // namespace ballast::cpu::BALLAST_ISA
