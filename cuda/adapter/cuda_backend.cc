// One line an operation, as in native/cpu/cpu_backend.cc. The virtual table and the exceptions stay
// on this side of the boundary: a failure comes back as a value and is thrown here.
#include "cuda/adapter/cuda_backend.h"

#include <type_traits>

#include "cuda/adapter/library.h"
#include "native/core/error.h"

namespace ballast::cuda {
namespace {

void ThrowIf(const Failure& failure) {
  if (failure.code == kSuccess) return;
  throw Error(static_cast<ErrorCode>(failure.code), failure.message);
}

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(int device) : library_(Library()) {
    DeviceDescription description;
    library_.describe(device, &description);
    description_ = description.text;
    Failure failure;
    engine_ = library_.open(device, &failure);
    ThrowIf(failure);
  }
  ~CudaBackend() override { library_.close(engine_); }
  CudaBackend(const CudaBackend&) = delete;
  CudaBackend& operator=(const CudaBackend&) = delete;

  std::string Description() const override { return description_; }
  void SetCancelToken(const CancelToken* token) override {
    library_.set_cancel_token(engine_, token);
  }
  std::byte* Allocate(std::size_t bytes) override { return Try(library_.allocate, bytes); }
  void Free(std::byte* pointer) override { library_.free(engine_, pointer); }
  void CopyFromHost(std::byte* to, const std::byte* from, std::size_t bytes) override {
    Try(library_.copy_from_host, to, from, bytes);
  }
  void CopyToHost(std::byte* to, const std::byte* from, std::size_t bytes) override {
    Try(library_.copy_to_host, to, from, bytes);
  }
  std::byte* UploadAhead(const std::byte* from, std::size_t bytes) override {
    return Try(library_.upload_ahead, from, bytes);
  }
  void AwaitUploads() override { Try(library_.await_uploads); }
  void Copy(std::byte* to, const std::byte* from, std::size_t bytes) override {
    Try(library_.copy, to, from, bytes);
  }
  std::byte* CopyToPeer(Backend& target, const std::byte* from, std::size_t bytes) override {
    const auto* peer = dynamic_cast<const CudaBackend*>(&target);
    return peer == nullptr ? nullptr : Try(library_.copy_to_peer, peer->engine_, from, bytes);
  }
  void Zero(std::byte* to, std::size_t bytes) override { Try(library_.zero, to, bytes); }
  bool SharesHostMemory() const override { return false; }
  std::optional<std::size_t> AvailableBytes() override { return Try(library_.available_bytes); }
  void Synchronize() override { Try(library_.synchronize); }

  void Cast(const View& in, const View& out) override {
    Run(library_.cast, {.in = in, .out = out});
  }
  void CountNonFinite(const View& in, const View& count) override {
    Run(library_.count_non_finite, {.in = in, .out = count});
  }
  void Binary(BinaryKind kind, const View& a, const View& b, const View& out) override {
    Run(library_.binary, {.kind = kind, .a = a, .b = b, .out = out});
  }
  void Scale(const View& in, double factor, const View& out) override {
    Run(library_.scale, {.in = in, .out = out, .value = factor});
  }
  void Activate(Activation kind, const View& in, const View& out) override {
    Run(library_.activate, {.in = in, .out = out, .activation = kind});
  }
  void Softcap(const View& in, double cap, const View& out) override {
    Run(library_.softcap, {.in = in, .out = out, .value = cap});
  }
  void SelectColumns(const View& in, const View& beside, const View& index,
                     const View& out) override {
    Run(library_.select_columns, {.in = in, .beside = beside, .index = index, .out = out});
  }
  void SelectRows(const View& in, const View& index, const View& out) override {
    Run(library_.select_rows, {.in = in, .beside = {}, .index = index, .out = out});
  }
  void Transpose(const View& in, const View& out) override {
    Run(library_.transpose, {.in = in, .beside = {}, .index = {}, .out = out});
  }
  void Matmul(const MatmulParams& p) override { Run(library_.matmul, p); }
  void Attention(const AttentionParams& p) override { Run(library_.attention, p); }
  void LayerNorm(const LayerNormParams& p) override { Run(library_.layer_norm, p); }
  void RmsNorm(const RmsNormParams& p) override { Run(library_.rms_norm, p); }
  void Rope(const RopeParams& p) override { Run(library_.rope, p); }
  void Embedding(const EmbeddingParams& p) override { Run(library_.embedding, p); }
  void CrossEntropy(const CrossEntropyParams& p) override { Run(library_.cross_entropy, p); }
  void ChooseExperts(const ChooseExpertsParams& p) override { Run(library_.choose_experts, p); }
  void ExpertWeights(const ExpertWeightsParams& p) override { Run(library_.expert_weights, p); }
  void ClampedSwiglu(const ClampedSwigluParams& p) override { Run(library_.clamped_swiglu, p); }
  void AddExpert(const AddExpertParams& p) override { Run(library_.add_expert, p); }
  void CausalConvolution(const CausalConvolutionParams& p) override {
    Run(library_.causal_convolution, p);
  }
  void GatedDeltaRule(const GatedDeltaRuleParams& p) override { Run(library_.gated_delta_rule, p); }
  void ChannelSum(const ChannelSumParams& p) override { Run(library_.channel_sum, p); }
  void SecondMoment(const SecondMomentParams& p) override { Run(library_.second_moment, p); }
  void Moment(const MomentParams& p) override { Run(library_.moment, p); }
  void Matvec(const MatvecParams& p) override { Run(library_.matvec, p); }
  void QuadraticForm(const QuadraticFormParams& p) override { Run(library_.quadratic_form, p); }
  void FakeQuantize(const FakeQuantizeParams& p) override { Run(library_.fake_quantize, p); }
  void FindScales(const FindScalesParams& p) override { Run(library_.find_scales, p); }
  void Quantize(const QuantizeParams& p) override { Run(library_.quantize, p); }
  void Dequantize(const DequantizeParams& p) override { Run(library_.dequantize, p); }
  void DequantizeFloat8(const DequantizeFloat8Params& p) override {
    Run(library_.dequantize_float8, p);
  }
  void DequantizeFloat4(const DequantizeFloat4Params& p) override {
    Run(library_.dequantize_float4, p);
  }
  void PackCodes(const CodeWordsParams& p) override { Run(library_.pack_codes, p); }
  void UnpackCodes(const CodeWordsParams& p) override { Run(library_.unpack_codes, p); }
  void PackBlocks(const CodeBlocksParams& p) override { Run(library_.pack_blocks, p); }
  void UnpackBlocks(const CodeBlocksParams& p) override { Run(library_.unpack_blocks, p); }
  void SuperScales(const SuperScalesParams& p) override { Run(library_.super_scales, p); }
  void PackSuperBlocks(const SuperBlocksParams& p) override { Run(library_.pack_super_blocks, p); }
  void UnpackSuperBlocks(const SuperBlocksParams& p) override {
    Run(library_.unpack_super_blocks, p);
  }
  void Factorize(const FactorizeParams& p) override { Run(library_.factorize, p); }
  void Gptq(const GptqParams& p) override { Run(library_.gptq, p); }
  void Descend(const DescendParams& p) override { Run(library_.descend, p); }
  void RefitScales(const RefitScalesParams& p) override { Run(library_.refit_scales, p); }
  void RefitSwept(const RefitSweptParams& p) override { Run(library_.refit_swept, p); }
  void HeadProduct(const HeadProductParams& p) override { Run(library_.head_product, p); }
  void Softmax(const SoftmaxParams& p) override { Run(library_.softmax, p); }
  void TwinQuantize(const TwinQuantizeParams& p) override { Run(library_.twin_quantize, p); }
  void SoftmaxGradient(const SoftmaxGradientParams& p) override {
    Run(library_.softmax_gradient, p);
  }
  void LayerNormGradient(const LayerNormGradientParams& p) override {
    Run(library_.layer_norm_gradient, p);
  }
  void ActivationGradient(const ActivationGradientParams& p) override {
    Run(library_.activation_gradient, p);
  }

 private:
  template <class Function, class... Arguments>
  std::invoke_result_t<Function, Engine*, Arguments..., Failure*> Try(Function function,
                                                                      Arguments... arguments) {
    Failure failure;
    if constexpr (std::is_void_v<decltype(function(engine_, arguments..., &failure))>) {
      function(engine_, arguments..., &failure);
      ThrowIf(failure);
    } else {
      const auto result = function(engine_, arguments..., &failure);
      ThrowIf(failure);
      return result;
    }
  }

  template <class Params>
  void Run(Operation<Params> operation, const Params& params) {
    Try(operation, &params);
  }

  const Functions& library_;
  Engine* engine_ = nullptr;
  std::string description_;
};

}  // namespace

std::unique_ptr<Backend> CreateCudaBackend(int device) {
  return std::make_unique<CudaBackend>(device);
}

}  // namespace ballast::cuda
