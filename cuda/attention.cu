// Picks the kernel for the precision, and for float32 the tile for the head size: the larger the
// head, the fewer queries and keys at a time, so that all tiles fit the shared memory of every
// supported GPU.
#include <string>

#include "cuda/attention_kernel.cuh"
#include "cuda/check.h"
#include "cuda/flash_attention.h"
#include "cuda/numbers.cuh"
#include "cuda/operations.h"
#include "native/core/error.h"

namespace ballast::cuda {
namespace {

constexpr std::int64_t kLargestHead = 256;

template <class T>
void Launch(const Context& context, AttentionArguments arguments, const View& result) {
  arguments.blocks = static_cast<int>(DivideUp(arguments.sequence, T::kQueries));
  const auto blocks = static_cast<unsigned>(arguments.batch * arguments.heads * arguments.blocks);
  WithOperandType(result.dtype, [&](auto type) {
    using Out = typename decltype(type)::type;
    const auto kernel = attention_kernel<T, Out>;
    Check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, T::kBytes),
          "preparing attention");
    kernel<<<blocks, kAttentionThreads, T::kBytes, context.stream>>>(arguments, result.as<Out>());
    CheckLaunch("attention");
  });
}

}  // namespace

void Attention(const Context& context, const AttentionParams& p) {
  if (p.query.shape.elements() == 0) return;
  const std::int64_t head_size = p.query.cols() / p.heads;
  if (head_size > kLargestHead) {
    throw Error(ErrorCode::kUnsupported, "Expected a head size of at most " +
                                             std::to_string(kLargestHead) +
                                             " on a CUDA device but received " +
                                             std::to_string(head_size) + "; use device cpu.");
  }
  const AttentionArguments arguments = {
      .query = p.query.f32(),
      .key = p.key.f32(),
      .value = p.value.f32(),
      .slopes = p.alibi_slopes.f32(),
      .bias = p.bias.f32(),
      .sinks = p.sinks.f32(),
      .bias_rows = p.bias.empty() ? 0 : p.bias.rows(),
      .batch = p.query.rows() / p.sequence,
      .sequence = static_cast<int>(p.sequence),
      .heads = static_cast<int>(p.heads),
      .key_value_heads = static_cast<int>(p.key_value_heads),
      .head_size = static_cast<int>(head_size),
      .blocks = 0,
      // A window longer than the sequence hides nothing.
      .window = static_cast<int>(p.window < p.sequence ? p.window : 0),
      .scale = static_cast<float>(p.scale),
      .softcap = static_cast<float>(p.softcap),
      .causal = p.causal};
  if (p.precision == Precision::kBFloat16) return FlashAttention(context, arguments, p.out);
  if (head_size <= 64) return Launch<AttentionTile<64, 64, 64>>(context, arguments, p.out);
  if (head_size <= 128) return Launch<AttentionTile<128, 64, 64>>(context, arguments, p.out);
  Launch<AttentionTile<256, 32, 32>>(context, arguments, p.out);
}

}  // namespace ballast::cuda
