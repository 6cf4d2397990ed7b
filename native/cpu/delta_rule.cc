// Sequences and key heads in parallel, each with all value heads that read it, tokens in order some
// at a time: their queries and keys are normalised once for all of these, and are still in the
// cache when the memories (a kernel's work) read them.
#include "native/cpu/delta_rule.h"

#include <algorithm>
#include <cmath>

#include "native/cpu/rows.h"

namespace ballast::cpu {
namespace {

constexpr std::int64_t kTokens = 64;  // at a time

double Dot(const float* a, const float* b, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

// out = x · factor / |x|
void Normalize(const float* x, std::int64_t n, double factor, float* out) {
  const double scale = factor / std::sqrt(Dot(x, x, n) + GatedDeltaRuleParams::kEps);
  for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(x[i] * scale);
}

// log(1 + exp(x)), which is x where the exponential would overflow.
double Softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

// One key head of one sequence.
class KeyHead {
 public:
  KeyHead(const RowKernels& kernels, const GatedDeltaRuleParams& p, std::int64_t sequence,
          std::int64_t head)
      : kernels_(kernels),
        p_(p),
        first_row_(sequence * p.sequence),
        head_(head),
        queries_(kTokens * p.key_size),
        keys_(kTokens * p.key_size),
        products_(kTokens),
        decays_(kTokens),
        writes_(kTokens),
        memory_size_(kernels.delta_rule_memory(p.key_size, ValueSize())),
        memories_(memory_size_ * Group()) {
    std::fill_n(memories_.data(), memory_size_ * Group(), 0.0f);
  }

  void Run() {
    for (std::int64_t begin = 0; begin < p_.sequence; begin += kTokens) {
      const std::int64_t tokens = std::min(kTokens, p_.sequence - begin);
      Normalize(first_row_ + begin, tokens);
      for (std::int64_t i = 0; i < Group(); ++i) Advance(first_row_ + begin, tokens, i);
    }
  }

 private:
  std::int64_t ValueHeads() const { return p_.decay.cols(); }
  std::int64_t ValueSize() const { return p_.out.cols() / ValueHeads(); }
  std::int64_t Group() const { return ValueHeads() / p_.key_heads; }

  void Normalize(std::int64_t row, std::int64_t tokens) {
    const std::int64_t size = p_.key_size;
    const double scale = 1 / std::sqrt(static_cast<double>(size));
    for (std::int64_t t = 0; t < tokens; ++t) {
      const float* mixed = p_.mixed.f32() + (row + t) * p_.mixed.cols() + head_ * size;
      float *query = queries_.data() + t * size, *key = keys_.data() + t * size;
      cpu::Normalize(mixed, size, scale, query);
      cpu::Normalize(mixed + p_.key_heads * size, size, 1, key);
      products_[t] = static_cast<float>(Dot(query, key, size));
    }
  }

  // The i-th value head of this key head.
  void Advance(std::int64_t row, std::int64_t tokens, std::int64_t i) {
    const std::int64_t head = head_ * Group() + i, heads = ValueHeads(), size = ValueSize();
    const double rate = std::exp(static_cast<double>(p_.log_rate.f32()[head]));
    for (std::int64_t t = 0; t < tokens; ++t) {
      const std::int64_t at = (row + t) * heads + head;
      const double decay =
          static_cast<double>(p_.decay.f32()[at]) + static_cast<double>(p_.decay_bias.f32()[head]);
      decays_[t] = static_cast<float>(std::exp(-rate * Softplus(decay)));
      writes_[t] = static_cast<float>(1 / (1 + std::exp(-static_cast<double>(p_.write.f32()[at]))));
    }
    const std::int64_t before_values = 2 * p_.key_heads * p_.key_size;
    kernels_.delta_rule(
        {.tokens = tokens,
         .key_size = p_.key_size,
         .value_size = size,
         .queries = queries_.data(),
         .keys = keys_.data(),
         .products = products_.data(),
         .decays = decays_.data(),
         .writes = writes_.data(),
         .values = p_.mixed.f32() + row * p_.mixed.cols() + before_values + head * size,
         .value_stride = p_.mixed.cols(),
         .out = p_.out.f32() + row * p_.out.cols() + head * size,
         .out_stride = p_.out.cols()},
        memories_.data() + i * memory_size_);
  }

  const RowKernels& kernels_;
  const GatedDeltaRuleParams& p_;
  const std::int64_t first_row_;
  const std::int64_t head_;
  Scratch<float> queries_;  // [tokens, key_size], as keys_
  Scratch<float> keys_;
  Scratch<float> products_;  // [tokens] query · key
  Scratch<float> decays_;    // [tokens] α
  Scratch<float> writes_;    // [tokens] β
  const std::int64_t memory_size_;
  Scratch<float> memories_;  // of each value head
};

}  // namespace

void GatedDeltaRule(const Context& context, const GatedDeltaRuleParams& p) {
  const std::int64_t sequences = p.mixed.rows() / p.sequence;
  ForEachRow(context, sequences * p.key_heads, 1, [&](std::int64_t i) {
    KeyHead(context.kernels.row, p, i / p.key_heads, i % p.key_heads).Run();
  });
}

}  // namespace ballast::cpu
