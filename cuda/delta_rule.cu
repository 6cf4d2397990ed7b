// A block has some columns of the memory of one value head through a whole sequence. Each column
// belongs to eight lanes, which hold every eighth of its numbers in registers and add up what they
// read; the tokens' keys and queries, normalised some at a time, lie in shared memory for all.
#include "cuda/check.h"
#include "cuda/operations.h"
#include "cuda/reduce.cuh"
#include "native/core/error.h"

namespace ballast::cuda {
namespace {

constexpr int kLanes = 8;
constexpr int kColumns = 32;
constexpr int kThreads = kColumns * kLanes;
constexpr int kTokens = 16;  // at a time
constexpr int kLargestKey = 256;

struct DeltaRuleArguments {
  const float* mixed;
  const float* decay;
  const float* write;
  const float* log_rate;
  const float* decay_bias;
  float* out;
  std::int64_t sequence;
  int key_heads;
  int key_size;
  int value_heads;
  int value_size;
};

// Of some tokens; rows of keys and queries have kRows · kLanes numbers, zeros behind the head's
// own.
template <int kRows>
struct StagedTokens {
  float keys[kTokens][kRows * kLanes];
  float queries[kTokens][kRows * kLanes];
  float products[kTokens];
  float decays[kTokens];
  float writes[kTokens];
};

// x / |x| · factor, by a warp.
template <int kRows>
__device__ __forceinline__ void normalize(const float* x, int n, double factor, float* out) {
  const int lane = threadIdx.x % kWarp;
  double squares = 0;
  for (int i = lane; i < n; i += kWarp) squares += static_cast<double>(x[i]) * x[i];
  const double scale = factor / sqrt(warp_reduce(squares, Sum{}) + GatedDeltaRuleParams::kEps);
  for (int i = lane; i < kRows * kLanes; i += kWarp) {
    out[i] = i < n ? static_cast<float>(x[i] * scale) : 0.0f;
  }
}

// A warp a token; `first` is the row of the first.
template <int kRows>
__device__ __forceinline__ void stage(const DeltaRuleArguments& p, std::int64_t first, int tokens,
                                      int head, StagedTokens<kRows>& staged) {
  const std::int64_t width =
      2ll * p.key_heads * p.key_size + static_cast<std::int64_t>(p.value_heads) * p.value_size;
  const int lane = threadIdx.x % kWarp;
  for (int t = threadIdx.x / kWarp; t < tokens; t += kThreads / kWarp) {
    const float* query =
        p.mixed + (first + t) * width + head / (p.value_heads / p.key_heads) * p.key_size;
    normalize<kRows>(query, p.key_size, 1 / sqrt(static_cast<double>(p.key_size)),
                     staged.queries[t]);
    normalize<kRows>(query + p.key_heads * p.key_size, p.key_size, 1, staged.keys[t]);
    double product = 0;  // each lane reads what it has written
    for (int i = lane; i < p.key_size; i += kWarp) {
      product += static_cast<double>(staged.queries[t][i]) * staged.keys[t][i];
    }
    product = warp_reduce(product, Sum{});
    if (lane != 0) continue;
    const std::int64_t at = (first + t) * p.value_heads + head;
    const double x = static_cast<double>(p.decay[at]) + p.decay_bias[head];
    const double softplus = fmax(x, 0.0) + log1p(exp(-fabs(x)));
    staged.products[t] = static_cast<float>(product);
    staged.decays[t] =
        static_cast<float>(exp(-exp(static_cast<double>(p.log_rate[head])) * softplus));
    staged.writes[t] = static_cast<float>(1 / (1 + exp(-static_cast<double>(p.write[at]))));
  }
}

template <int kRows>
__global__ void __launch_bounds__(kThreads) delta_rule_kernel(const DeltaRuleArguments p) {
  __shared__ StagedTokens<kRows> staged;
  const int head = blockIdx.x % p.value_heads;
  const int lane = threadIdx.x % kLanes;
  const int column = blockIdx.y * kColumns + threadIdx.x / kLanes;
  const bool exists = column < p.value_size;  // where not, the lanes go along with zeros
  const std::int64_t keys = 2ll * p.key_heads * p.key_size;
  const std::int64_t values = static_cast<std::int64_t>(p.value_heads) * p.value_size;
  const std::int64_t own = static_cast<std::int64_t>(head) * p.value_size + column;
  const std::int64_t first = blockIdx.x / p.value_heads * p.sequence;
  float memory[kRows] = {};
  for (std::int64_t begin = 0; begin < p.sequence; begin += kTokens) {
    const int tokens =
        static_cast<int>(min(p.sequence - begin, static_cast<std::int64_t>(kTokens)));
    __syncthreads();  // the tokens before may still be read
    stage<kRows>(p, first + begin, tokens, head, staged);
    __syncthreads();
    for (int t = 0; t < tokens; ++t) {
      const std::int64_t row = first + begin + t;
      const float value = exists ? p.mixed[row * (keys + values) + keys + own] : 0.0f;
      float recalled = 0, read = 0;
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        recalled = fmaf(staged.keys[t][i * kLanes + lane], memory[i], recalled);
        read = fmaf(staged.queries[t][i * kLanes + lane], memory[i], read);
      }
      recalled = warp_reduce<kLanes>(recalled, Sum{});
      read = warp_reduce<kLanes>(read, Sum{});
      const float decay = staged.decays[t];
      const float written = (value - recalled * decay) * staged.writes[t];
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        memory[i] = fmaf(staged.keys[t][i * kLanes + lane], written, memory[i] * decay);
      }
      if (exists && lane == 0) {
        p.out[row * values + own] = read * decay + written * staged.products[t];
      }
    }
  }
}

}  // namespace

void GatedDeltaRule(const Context& context, const GatedDeltaRuleParams& p) {
  const std::int64_t sequences = p.mixed.rows() / p.sequence, heads = p.decay.cols();
  const std::int64_t size = p.out.cols() / heads;
  if (sequences == 0) return;
  if (p.key_size > kLargestKey) {
    throw Error(ErrorCode::kUnsupported,
                "Expected heads of at most " + std::to_string(kLargestKey) +
                    " key channels for linear attention on a GPU but received " +
                    std::to_string(p.key_size) + "; use the device cpu.");
  }
  const DeltaRuleArguments arguments = {.mixed = p.mixed.f32(),
                                        .decay = p.decay.f32(),
                                        .write = p.write.f32(),
                                        .log_rate = p.log_rate.f32(),
                                        .decay_bias = p.decay_bias.f32(),
                                        .out = p.out.f32(),
                                        .sequence = p.sequence,
                                        .key_heads = static_cast<int>(p.key_heads),
                                        .key_size = static_cast<int>(p.key_size),
                                        .value_heads = static_cast<int>(heads),
                                        .value_size = static_cast<int>(size)};
  const dim3 blocks(static_cast<unsigned>(sequences * heads),
                    static_cast<unsigned>(DivideUp(size, kColumns)));
  const auto launch = [&](auto kernel) {
    kernel<<<blocks, kThreads, 0, context.stream>>>(arguments);
  };
  p.key_size <= 128 ? launch(delta_rule_kernel<16>) : launch(delta_rule_kernel<32>);
  CheckLaunch("gatedDeltaRule");
}

}  // namespace ballast::cuda
