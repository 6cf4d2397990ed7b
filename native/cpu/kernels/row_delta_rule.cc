// The memory of linear attention through some tokens, a panel of its columns at a time: what a
// panel holds of all keys stays in the level-1 cache. What a token writes is added while the next
// one reads, so that each number is loaded and stored once a token.
#include "native/cpu/kernels/row_parts.h"
#include "native/cpu/kernels/vector.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

constexpr int kVectors = 2;  // sums of twice as many, and what was written, stay in registers
constexpr int kPanel = kVectors * kLanes;

struct Panel {
  Floats of[kVectors];
};

// Columns beyond `count` are zero.
Panel LoadColumns(const float* p, std::int64_t count) {
  Panel panel;
  for (int v = 0; v < kVectors; ++v) {
    const std::int64_t rest = count - v * kLanes;
    panel.of[v] = rest >= kLanes ? Load<Floats>(p + v * kLanes)
                  : rest > 0     ? LoadPart<Floats>(p + v * kLanes, rest)
                                 : Floats{};
  }
  return panel;
}

void StoreColumns(const Panel& panel, std::int64_t count, float* p) {
  for (int v = 0; v < kVectors; ++v) {
    const std::int64_t rest = count - v * kLanes;
    if (rest >= kLanes) {
      Store(p + v * kLanes, panel.of[v]);
    } else if (rest > 0) {
      StorePart(p + v * kLanes, panel.of[v], rest);
    }
  }
}

// What a token did to the memory: memory ← decay · memory + key writtenᵀ.
struct Write {
  float decay;
  const float* key;
  Panel written;
};

// Brings the memory up to date, and reads from it with a key and a query.
void Step(const Write& before, const float* key, const float* query, std::int64_t size,
          float* memory, Panel* recalled, Panel* read) {
  Floats by_key[kVectors] = {}, by_query[kVectors] = {};
  for (std::int64_t i = 0; i < size; ++i) {
    float* const row = memory + i * kPanel;
    const Floats changed = Splat(before.key[i]), k = Splat(key[i]), q = Splat(query[i]);
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      const Floats kept = Load<Floats>(row + v * kLanes) * before.decay;
      const Floats now = MultiplyAdd(changed, before.written.of[v], kept);
      Store(row + v * kLanes, now);
      by_key[v] = MultiplyAdd(k, now, by_key[v]);
      by_query[v] = MultiplyAdd(q, now, by_query[v]);
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    recalled->of[v] = by_key[v];
    read->of[v] = by_query[v];
  }
}

void Finish(const Write& before, std::int64_t size, float* memory) {
  for (std::int64_t i = 0; i < size; ++i) {
    float* const row = memory + i * kPanel;
    for (int v = 0; v < kVectors; ++v) {
      const Floats kept = Load<Floats>(row + v * kLanes) * before.decay;
      Store(row + v * kLanes, MultiplyAdd(Splat(before.key[i]), before.written.of[v], kept));
    }
  }
}

// Columns first … first + count − 1 of the values.
void RunPanel(const DeltaRuleTokens& p, std::int64_t first, std::int64_t count, float* memory) {
  Write before = {1.0f, p.keys, {}};
  for (std::int64_t t = 0; t < p.tokens; ++t) {
    const float* key = p.keys + t * p.key_size;
    Panel recalled, read, out;
    Step(before, key, p.queries + t * p.key_size, p.key_size, memory, &recalled, &read);
    const float decay = p.decays[t], write = p.writes[t], product = p.products[t];
    const Panel values = LoadColumns(p.values + t * p.value_stride + first, count);
    before = {decay, key, {}};
    for (int v = 0; v < kVectors; ++v) {
      const Floats written = (values.of[v] - recalled.of[v] * decay) * write;
      out.of[v] = read.of[v] * decay + written * product;
      before.written.of[v] = written;
    }
    StoreColumns(out, count, p.out + t * p.out_stride + first);
  }
  Finish(before, p.key_size, memory);
}

std::int64_t MemorySize(std::int64_t key_size, std::int64_t value_size) {
  return (value_size + kPanel - 1) / kPanel * kPanel * key_size;
}

void DeltaRule(const DeltaRuleTokens& tokens, float* memory) {
  for (std::int64_t first = 0; first < tokens.value_size; first += kPanel) {
    const std::int64_t rest = tokens.value_size - first;
    RunPanel(tokens, first, rest < kPanel ? rest : kPanel, memory + first * tokens.key_size);
  }
}

}  // namespace

void AddDeltaRuleKernels(RowKernels& table) {
  table.delta_rule_memory = MemorySize;
  table.delta_rule = DeltaRule;
}

}  // namespace ballast::cpu::BALLAST_ISA
