// The boundary between the addon and `ballast-cuda.so`: plain functions in a table, plain structs,
// errors as values. Each side carries a C++ runtime of its own, so no exception, no virtual table
// and no std:: object crosses. Operands are the structs of native/backend/params.h,
// expert_params.h, explicit_params.h, recurrence_params.h and super_block_params.h, which own
// nothing; both sides compile the same headers, and `layout` refuses a library of another build.
#pragma once

#include <cstddef>
#include <cstdint>

#include "native/backend/expert_params.h"
#include "native/backend/explicit_params.h"
#include "native/backend/params.h"
#include "native/backend/recurrence_params.h"
#include "native/backend/super_block_params.h"
#include "native/core/cancel_token.h"

namespace ballast::cuda {

struct Engine;  // one stream on one GPU, with its memory; lives in the library

constexpr std::int32_t kSuccess = -1;

// Filled by the library when a call fails: an ErrorCode and one sentence.
struct Failure {
  std::int32_t code = kSuccess;
  char message[1000] = {};
};

struct DeviceDescription {
  bool available = false;
  char text[300] = {};  // what it is, or why it is not available
};

// Operands of the operations that have no struct in params.h.
struct ConversionParams {
  View in;
  View out;
};
struct BinaryParams {
  BinaryKind kind;
  View a;
  View b;
  View out;
};
struct MapParams {
  View in;
  View out;
  Activation activation = Activation::kNone;
  double value = 0;  // the factor of Scale, the cap of Softcap
};
struct SelectionParams {
  View in;
  View beside;  // optional, of SelectColumns alone
  View index;   // absent for Transpose
  View out;
};

template <class Params>
using Operation = void (*)(Engine*, const Params*, Failure*);

struct Functions {
  std::uint64_t layout;

  int (*device_count)(Failure*);  // fails with the reason when there is none
  void (*describe)(int device, DeviceDescription*);
  Engine* (*open)(int device, Failure*);
  void (*close)(Engine*);
  void (*set_cancel_token)(Engine*, const CancelToken*);

  std::byte* (*allocate)(Engine*, std::size_t, Failure*);
  void (*free)(Engine*, std::byte*);
  std::size_t (*available_bytes)(Engine*, Failure*);
  void (*copy_from_host)(Engine*, std::byte*, const std::byte*, std::size_t, Failure*);
  void (*copy_to_host)(Engine*, std::byte*, const std::byte*, std::size_t, Failure*);
  std::byte* (*upload_ahead)(Engine*, const std::byte*, std::size_t, Failure*);
  void (*await_uploads)(Engine*, Failure*);
  void (*copy)(Engine*, std::byte*, const std::byte*, std::size_t, Failure*);
  std::byte* (*copy_to_peer)(Engine*, Engine* target, const std::byte*, std::size_t, Failure*);
  void (*zero)(Engine*, std::byte*, std::size_t, Failure*);
  void (*synchronize)(Engine*, Failure*);

  Operation<ConversionParams> cast;
  Operation<ConversionParams> count_non_finite;
  Operation<BinaryParams> binary;
  Operation<MapParams> scale;
  Operation<MapParams> activate;
  Operation<MapParams> softcap;
  Operation<SelectionParams> select_columns;
  Operation<SelectionParams> select_rows;
  Operation<SelectionParams> transpose;
  Operation<MatmulParams> matmul;
  Operation<AttentionParams> attention;
  Operation<LayerNormParams> layer_norm;
  Operation<RmsNormParams> rms_norm;
  Operation<RopeParams> rope;
  Operation<EmbeddingParams> embedding;
  Operation<CrossEntropyParams> cross_entropy;
  Operation<ChooseExpertsParams> choose_experts;
  Operation<ExpertWeightsParams> expert_weights;
  Operation<ClampedSwigluParams> clamped_swiglu;
  Operation<AddExpertParams> add_expert;
  Operation<CausalConvolutionParams> causal_convolution;
  Operation<GatedDeltaRuleParams> gated_delta_rule;
  Operation<ChannelSumParams> channel_sum;
  Operation<SecondMomentParams> second_moment;
  Operation<MomentParams> moment;
  Operation<MatvecParams> matvec;
  Operation<QuadraticFormParams> quadratic_form;
  Operation<FakeQuantizeParams> fake_quantize;
  Operation<FindScalesParams> find_scales;
  Operation<QuantizeParams> quantize;
  Operation<DequantizeParams> dequantize;
  Operation<DequantizeFloat8Params> dequantize_float8;
  Operation<DequantizeFloat4Params> dequantize_float4;
  Operation<CodeWordsParams> pack_codes;
  Operation<CodeWordsParams> unpack_codes;
  Operation<CodeBlocksParams> pack_blocks;
  Operation<CodeBlocksParams> unpack_blocks;
  Operation<SuperScalesParams> super_scales;
  Operation<SuperBlocksParams> pack_super_blocks;
  Operation<SuperBlocksParams> unpack_super_blocks;
  Operation<FactorizeParams> factorize;
  Operation<GptqParams> gptq;
  Operation<DescendParams> descend;
  Operation<RefitScalesParams> refit_scales;
  Operation<RefitSweptParams> refit_swept;
  Operation<HeadProductParams> head_product;
  Operation<SoftmaxParams> softmax;
  Operation<TwinQuantizeParams> twin_quantize;
  Operation<SoftmaxGradientParams> softmax_gradient;
  Operation<LayerNormGradientParams> layer_norm_gradient;
  Operation<ActivationGradientParams> activation_gradient;
};

template <class... T>
constexpr std::uint64_t LayoutOf() {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a over the sizes
  ((hash = (hash ^ sizeof(T)) * 1099511628211u), ...);
  return hash;
}

// Differs when the table or an operand changed its size. A change that keeps all sizes comes with a
// new version of the package, whose library stands beside its addon.
constexpr std::uint64_t kLayout =
    LayoutOf<Functions, View, SelectionParams, MatmulParams, AttentionParams, LayerNormParams,
             RmsNormParams, RopeParams, EmbeddingParams, CrossEntropyParams, ChooseExpertsParams,
             ExpertWeightsParams, ClampedSwigluParams, AddExpertParams, CausalConvolutionParams,
             GatedDeltaRuleParams, ChannelSumParams, SecondMomentParams, MomentParams, MatvecParams,
             QuadraticFormParams, FakeQuantizeParams, FindScalesParams, QuantizeParams,
             DequantizeParams, DequantizeFloat8Params, DequantizeFloat4Params, CodeWordsParams,
             CodeBlocksParams, SuperScalesParams, SuperBlocksParams, FactorizeParams, GptqParams,
             DescendParams, RefitScalesParams, RefitSweptParams, HeadProductParams, SoftmaxParams,
             TwinQuantizeParams, SoftmaxGradientParams, LayerNormGradientParams,
             ActivationGradientParams>();

// The one symbol that the library exports: `const Functions* ballast_cuda_functions()`.
constexpr const char* kEntryPoint = "ballast_cuda_functions";

}  // namespace ballast::cuda
