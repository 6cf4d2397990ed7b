// Keys and values are rounded to bfloat16 once for all the tiles of queries that read them. A tile
// of 128 queries reads a sequence's keys and values of its head, half of them on average if causal:
// with 2048 tokens and heads of 128, 1 MB of float32 for 67 MFLOP, so that a GPU that multiplies
// 350 TFLOP/s would ask its level-2 cache for 5.5 TB/s, all it has. In bfloat16 it asks for half
// and needs no conversion on the way, at the price of one pass over keys and values, which a group
// of query heads and 16 tiles share: 3 ms in 50 for 2^20 tokens. It takes memory of half their
// size.
#include "cuda/check.h"
#include "cuda/flash_attention.h"
#include "cuda/flash_attention_kernel.cuh"
#include "cuda/memory.h"

namespace ballast::cuda {
namespace {

constexpr int kPackThreads = 256;

// One block a tile of keys, and of values, of one head.
template <class T>
__global__ void __launch_bounds__(kPackThreads)
    round_keys_kernel(const FlashArguments f, Bfloat* keys, Bfloat* values) {
  const AttentionArguments& p = f.attention;
  const unsigned pack = blockIdx.x / f.key_tiles;
  const int first = static_cast<int>(blockIdx.x % f.key_tiles) * T::kKeys;
  const std::int64_t stride = static_cast<std::int64_t>(p.key_value_heads) * p.head_size;
  const std::int64_t offset =
      (static_cast<std::int64_t>(pack / p.key_value_heads) * p.sequence + first) * stride +
      pack % p.key_value_heads * p.head_size;
  const std::int64_t to = static_cast<std::int64_t>(blockIdx.x) * T::kElements;
  for (int i = threadIdx.x; i < T::kElements / 4; i += kPackThreads) {
    const int row = i / (T::kHead / 4), column = i % (T::kHead / 4) * 4;
    uint2 key = {}, value = {};
    if (first + row < p.sequence) {
      const std::int64_t from = offset + row * stride;
      key = round_channels(p.key + from, column, p.head_size, f.vectors);
      value = round_channels(p.value + from, column, p.head_size, f.vectors);
    }
    *reinterpret_cast<uint2*>(keys + to + i * 4) = key;
    *reinterpret_cast<uint2*>(values + to + i * 4) = value;
  }
}

template <class T, bool kPlain>
void Launch(const Context& context, AttentionArguments p, const View& result) {
  p.blocks = static_cast<int>(DivideUp(p.sequence, T::kQueries));
  const std::int64_t key_tiles = DivideUp(p.sequence, T::kKeys);
  const std::int64_t tiles = p.batch * p.key_value_heads * key_tiles;
  const Scratch<Bfloat> keys(context, tiles * T::kElements), values(context, tiles * T::kElements);
  const FlashArguments f = {
      .attention = p,
      .keys = keys.data(),
      .values = values.data(),
      .key_tiles = static_cast<int>(key_tiles),
      .vectors = p.head_size % kWide == 0 && AreAligned(p.query, p.key, p.value, result.f32())};
  round_keys_kernel<T><<<static_cast<unsigned>(tiles), kPackThreads, 0, context.stream>>>(
      f, keys.data(), values.data());
  CheckLaunch("attention");
  const auto blocks = static_cast<unsigned>(p.batch * p.heads * p.blocks);
  WithOperandType(result.dtype, [&](auto type) {
    using Out = typename decltype(type)::type;
    const auto kernel = flash_attention_kernel<T, kPlain, Out>;
    Check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, T::kBytes),
          "preparing attention");
    kernel<<<blocks, kFlashThreads, T::kBytes, context.stream>>>(f, result.as<Out>());
    CheckLaunch("attention");
  });
}

}  // namespace

void FlashAttention(const Context& context, const AttentionArguments& p, const View& result) {
  if (p.slopes == nullptr && p.bias == nullptr && p.softcap == 0 && p.scale > 0) {
    if (p.head_size <= 64) return Launch<FlashTile<64, 2, 64>, true>(context, p, result);
    if (p.head_size <= 96) return Launch<FlashTile<96, 2, 64>, true>(context, p, result);
    if (p.head_size <= 128) return Launch<FlashTile<128, 2, 64>, true>(context, p, result);
    return Launch<FlashTile<256, 1, 32>, true>(context, p, result);
  }
  // What follows the products takes registers: tiles of 32 keys where 64 would spill.
  if (p.head_size <= 64) return Launch<FlashTile<64, 2, 64>, false>(context, p, result);
  if (p.head_size <= 128) return Launch<FlashTile<128, 2, 32>, false>(context, p, result);
  Launch<FlashTile<256, 1, 32>, false>(context, p, result);
}

}  // namespace ballast::cuda
