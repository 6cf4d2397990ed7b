// One line an operation: each lives in its own file.
#include "native/cpu/cpu_backend.h"

#include <cstring>
#include <string>

#include "native/core/error.h"
#include "native/cpu/attention.h"
#include "native/cpu/block_cache.h"
#include "native/cpu/causal_convolution.h"
#include "native/cpu/code_blocks.h"
#include "native/cpu/code_words.h"
#include "native/cpu/context.h"
#include "native/cpu/cross_entropy.h"
#include "native/cpu/delta_rule.h"
#include "native/cpu/descend.h"
#include "native/cpu/elementwise.h"
#include "native/cpu/embedding.h"
#include "native/cpu/experts.h"
#include "native/cpu/explicit_attention.h"
#include "native/cpu/factorize.h"
#include "native/cpu/float4.h"
#include "native/cpu/float8.h"
#include "native/cpu/gptq.h"
#include "native/cpu/gradients.h"
#include "native/cpu/instruction_set.h"
#include "native/cpu/matmul.h"
#include "native/cpu/matvec.h"
#include "native/cpu/moment.h"
#include "native/cpu/normalization.h"
#include "native/cpu/quadratic_form.h"
#include "native/cpu/quantization.h"
#include "native/cpu/reductions.h"
#include "native/cpu/refit_scales.h"
#include "native/cpu/rope.h"
#include "native/cpu/second_moment.h"
#include "native/cpu/super_blocks.h"
#include "native/cpu/super_scales.h"
#include "native/cpu/swept_refit.h"
#include "native/cpu/twin_quantization.h"

namespace ballast::cpu {
namespace {

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(ThreadPool& pool)
      : instruction_set_(ActiveInstructionSet()),
        context_{.pool = pool,
                 .kernels = KernelsFor(instruction_set_),
                 .float32_products = ActiveFloat32Products(instruction_set_),
                 .cancel = nullptr,
                 .blocks = &blocks_} {}

  std::string Description() const override {
    const int threads = context_.pool.threads();
    return std::string(InstructionSetName(instruction_set_)) + ProductsName() + ", " +
           std::to_string(threads) + (threads == 1 ? " thread" : " threads");
  }
  void SetCancelToken(const CancelToken* token) override { context_.cancel = token; }

  std::byte* Allocate(std::size_t bytes) override {
    std::byte* memory = blocks_.Take(bytes);
    if (memory == nullptr) {
      throw Error(ErrorCode::kMemory,
                  "Could not allocate " + std::to_string(bytes) +
                      " bytes of memory; use fewer samples or a smaller batch.");
    }
    return memory;
  }
  void Free(std::byte* pointer) override { blocks_.Give(pointer); }
  void CopyFromHost(std::byte* to, const std::byte* from, std::size_t bytes) override {
    Copy(to, from, bytes);
  }
  void CopyToHost(std::byte* to, const std::byte* from, std::size_t bytes) override {
    Copy(to, from, bytes);
  }
  std::byte* UploadAhead(const std::byte* from, std::size_t bytes) override {
    std::byte* to = Allocate(bytes);
    Copy(to, from, bytes);
    return to;
  }
  void AwaitUploads() override {}  // copies are whole when they are returned
  void Copy(std::byte* to, const std::byte* from, std::size_t bytes) override {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }
  std::byte* CopyToPeer(Backend& target, const std::byte* from, std::size_t bytes) override {
    if (!target.SharesHostMemory()) return nullptr;
    std::byte* to = target.Allocate(bytes);  // blocks are behind a lock
    Copy(to, from, bytes);
    return to;
  }
  void Zero(std::byte* to, std::size_t bytes) override {
    if (bytes > 0) std::memset(to, 0, bytes);
  }
  bool SharesHostMemory() const override { return true; }
  std::optional<std::size_t> AvailableBytes() override { return std::nullopt; }
  void Synchronize() override {}  // operations return when they are done

  void Cast(const View& in, const View& out) override { cpu::Cast(context_, in, out); }
  void CountNonFinite(const View& in, const View& count) override {
    cpu::CountNonFinite(context_, in, count);
  }
  void Binary(BinaryKind kind, const View& a, const View& b, const View& out) override {
    cpu::Binary(context_, kind, a, b, out);
  }
  void Scale(const View& in, double factor, const View& out) override {
    cpu::Scale(context_, in, factor, out);
  }
  void Activate(Activation kind, const View& in, const View& out) override {
    cpu::Activate(context_, kind, in, out);
  }
  void Softcap(const View& in, double cap, const View& out) override {
    cpu::Softcap(context_, in, cap, out);
  }
  void SelectColumns(const View& in, const View& beside, const View& index,
                     const View& out) override {
    cpu::SelectColumns(context_, in, beside, index, out);
  }
  void SelectRows(const View& in, const View& index, const View& out) override {
    cpu::SelectRows(context_, in, index, out);
  }
  void Transpose(const View& in, const View& out) override { cpu::Transpose(context_, in, out); }

  void Matmul(const MatmulParams& p) override { cpu::Matmul(context_, p); }
  void Attention(const AttentionParams& p) override { cpu::Attention(context_, p); }
  void LayerNorm(const LayerNormParams& p) override { cpu::LayerNorm(context_, p); }
  void RmsNorm(const RmsNormParams& p) override { cpu::RmsNorm(context_, p); }
  void Rope(const RopeParams& p) override { cpu::Rope(context_, p); }
  void Embedding(const EmbeddingParams& p) override { cpu::Embedding(context_, p); }
  void CrossEntropy(const CrossEntropyParams& p) override { cpu::CrossEntropy(context_, p); }

  void ChooseExperts(const ChooseExpertsParams& p) override { cpu::ChooseExperts(context_, p); }
  void ExpertWeights(const ExpertWeightsParams& p) override { cpu::ExpertWeights(context_, p); }
  void ClampedSwiglu(const ClampedSwigluParams& p) override { cpu::ClampedSwiglu(context_, p); }
  void AddExpert(const AddExpertParams& p) override { cpu::AddExpert(context_, p); }
  void CausalConvolution(const CausalConvolutionParams& p) override {
    cpu::CausalConvolution(context_, p);
  }
  void GatedDeltaRule(const GatedDeltaRuleParams& p) override { cpu::GatedDeltaRule(context_, p); }

  void ChannelSum(const ChannelSumParams& p) override { cpu::ChannelSum(context_, p); }
  void SecondMoment(const SecondMomentParams& p) override { cpu::SecondMoment(context_, p); }
  void Moment(const MomentParams& p) override { cpu::Moment(context_, p); }
  void Matvec(const MatvecParams& p) override { cpu::Matvec(context_, p); }
  void QuadraticForm(const QuadraticFormParams& p) override { cpu::QuadraticForm(context_, p); }

  void FakeQuantize(const FakeQuantizeParams& p) override { cpu::FakeQuantize(context_, p); }
  void FindScales(const FindScalesParams& p) override { cpu::FindScales(context_, p); }
  void Quantize(const QuantizeParams& p) override { cpu::Quantize(context_, p); }
  void Dequantize(const DequantizeParams& p) override { cpu::Dequantize(context_, p); }
  void DequantizeFloat8(const DequantizeFloat8Params& p) override {
    cpu::DequantizeFloat8(context_, p);
  }
  void DequantizeFloat4(const DequantizeFloat4Params& p) override {
    cpu::DequantizeFloat4(context_, p);
  }
  void PackCodes(const CodeWordsParams& p) override { cpu::PackCodes(context_, p); }
  void UnpackCodes(const CodeWordsParams& p) override { cpu::UnpackCodes(context_, p); }
  void PackBlocks(const CodeBlocksParams& p) override { cpu::PackBlocks(context_, p); }
  void UnpackBlocks(const CodeBlocksParams& p) override { cpu::UnpackBlocks(context_, p); }
  void SuperScales(const SuperScalesParams& p) override { cpu::SuperScales(context_, p); }
  void PackSuperBlocks(const SuperBlocksParams& p) override { cpu::PackSuperBlocks(context_, p); }
  void UnpackSuperBlocks(const SuperBlocksParams& p) override {
    cpu::UnpackSuperBlocks(context_, p);
  }
  void Factorize(const FactorizeParams& p) override { cpu::Factorize(context_, p); }
  void Gptq(const GptqParams& p) override { cpu::Gptq(context_, p); }
  void Descend(const DescendParams& p) override { cpu::Descend(context_, p); }
  void RefitScales(const RefitScalesParams& p) override { cpu::RefitScales(context_, p); }
  void RefitSwept(const RefitSweptParams& p) override { cpu::RefitSwept(context_, p); }

  void HeadProduct(const HeadProductParams& p) override { cpu::HeadProduct(context_, p); }
  void Softmax(const SoftmaxParams& p) override { cpu::Softmax(context_, p); }
  void TwinQuantize(const TwinQuantizeParams& p) override { cpu::TwinQuantize(context_, p); }
  void SoftmaxGradient(const SoftmaxGradientParams& p) override {
    cpu::SoftmaxGradient(context_, p);
  }
  void LayerNormGradient(const LayerNormGradientParams& p) override {
    cpu::LayerNormGradient(context_, p);
  }
  void ActivationGradient(const ActivationGradientParams& p) override {
    cpu::ActivationGradient(context_, p);
  }

 private:
  // Nothing of multiply-adds: they are what float32 means.
  std::string ProductsName() const {
    if (context_.float32_products == Float32Products::kFma) return "";
    const bool six = context_.float32_products == Float32Products::kSix;
    return std::string(", float32 by ") + (six ? "six" : "three") + " bfloat16 products";
  }

  const InstructionSet instruction_set_;
  BlockCache blocks_;
  Context context_;
};

}  // namespace

std::unique_ptr<Backend> CreateCpuBackend(ThreadPool& pool) {
  return std::make_unique<CpuBackend>(pool);
}

}  // namespace ballast::cpu
