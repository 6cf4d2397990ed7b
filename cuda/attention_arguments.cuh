// What both kernels of attention are told beside where the result goes, and the step between them:
// from a product of query and key to a score. Formulas: AttentionParams in native/backend/params.h.
#pragma once

#include <cstdint>

namespace ballast::cuda {

struct AttentionArguments {
  const float* query;
  const float* key;
  const float* value;
  const float* slopes;  // or null
  const float* bias;    // or null
  const float* sinks;   // or null
  std::int64_t bias_rows;
  std::int64_t batch;
  int sequence;
  int heads;
  int key_value_heads;
  int head_size;
  int blocks;  // of queries in a sequence
  int window;  // 0: none
  float scale;
  float softcap;  // 0: none
  bool causal;
};

__device__ __forceinline__ bool is_hidden(const AttentionArguments& p, int query, int key) {
  return key >= p.sequence || (p.causal && key > query) ||
         (p.window > 0 && query - key >= p.window);
}

// The rows of the bias of one sequence and head, or null.
__device__ __forceinline__ const float* bias_of(const AttentionArguments& p, std::int64_t sequence,
                                                int head) {
  if (p.bias == nullptr) return nullptr;
  return p.bias + (sequence * p.heads + head) * p.sequence % p.bias_rows * p.sequence;
}

// `product` is scaled; `bias` as bias_of gives it.
__device__ __forceinline__ float score_of(const AttentionArguments& p, float product, float slope,
                                          const float* bias, int query, int key) {
  if (is_hidden(p, query, key)) return -INFINITY;
  if (p.softcap > 0) product = tanhf(product / p.softcap) * p.softcap;
  product += slope * static_cast<float>(key - query);
  if (bias == nullptr || query >= p.sequence) return product;
  return product + bias[static_cast<std::int64_t>(query) * p.sequence + key];
}

}  // namespace ballast::cuda
