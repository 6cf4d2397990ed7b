// The list of operations as a pure interface. A backend validates nothing (native/ops did) and may
// assume contiguous operands of the stated dtypes. Methods are called on a queue's thread, one at a
// time per queue; a backend may serve several queues. "Queued" backends (CUDA) return once the work
// is in their stream; Synchronize waits for it. Free and AwaitUploads may be called on any thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "native/backend/expert_params.h"
#include "native/backend/explicit_params.h"
#include "native/backend/params.h"
#include "native/backend/recurrence_params.h"
#include "native/backend/super_block_params.h"
#include "native/core/cancel_token.h"
#include "native/core/memory.h"

namespace ballast {

class Backend : public Memory {
 public:
  // Human-readable, such as "avx512, 8 threads".
  virtual std::string Description() const = 0;
  // Long operations look at it between chunks of work; it outlives the backend.
  virtual void SetCancelToken(const CancelToken* token) = 0;

  virtual void CopyFromHost(std::byte* to, const std::byte* from, std::size_t bytes) = 0;
  virtual void CopyToHost(std::byte* to, const std::byte* from, std::size_t bytes) = 0;
  // A copy of host bytes, made beside the queue: called on a thread of its own, one at a time, and
  // done with the source when it returns the copy's memory, or null where none is free. What is
  // queued after AwaitUploads sees every copy that has been returned by then.
  virtual std::byte* UploadAhead(const std::byte* from, std::size_t bytes) = 0;
  virtual void AwaitUploads() = 0;
  virtual void Copy(std::byte* to, const std::byte* from, std::size_t bytes) = 0;
  // Memory of `target` with a copy of this backend's bytes, whole when this returns; null where the
  // two have no way but through the host, or the target no memory at the moment.
  virtual std::byte* CopyToPeer(Backend& target, const std::byte* from, std::size_t bytes) = 0;
  virtual void Zero(std::byte* to, std::size_t bytes) = 0;
  virtual void Synchronize() = 0;

  virtual void Cast(const View& in, const View& out) = 0;  // among float types and from integers
  virtual void CountNonFinite(const View& in, const View& count) = 0;  // count [1] float64
  // b has the shape of a, or is [cols] and repeats over the rows.
  virtual void Binary(BinaryKind kind, const View& a, const View& b, const View& out) = 0;
  virtual void Scale(const View& in, double factor, const View& out) = 0;  // out = factor·in
  virtual void Activate(Activation kind, const View& in, const View& out) = 0;
  virtual void Softcap(const View& in, double cap, const View& out) = 0;  // cap·tanh(in/cap)
  // Of any dtype; an index counts the columns of `in`, then those of `beside`, which may be absent.
  virtual void SelectColumns(const View& in, const View& beside, const View& index,
                             const View& out) = 0;
  virtual void SelectRows(const View& in, const View& index, const View& out) = 0;  // any dtype
  virtual void Transpose(const View& in, const View& out) = 0;                      // any dtype

  virtual void Matmul(const MatmulParams&) = 0;
  virtual void Attention(const AttentionParams&) = 0;
  virtual void LayerNorm(const LayerNormParams&) = 0;
  virtual void RmsNorm(const RmsNormParams&) = 0;
  virtual void Rope(const RopeParams&) = 0;
  virtual void Embedding(const EmbeddingParams&) = 0;
  virtual void CrossEntropy(const CrossEntropyParams&) = 0;

  virtual void ChooseExperts(const ChooseExpertsParams&) = 0;
  virtual void ExpertWeights(const ExpertWeightsParams&) = 0;
  virtual void ClampedSwiglu(const ClampedSwigluParams&) = 0;
  virtual void AddExpert(const AddExpertParams&) = 0;

  virtual void CausalConvolution(const CausalConvolutionParams&) = 0;
  virtual void GatedDeltaRule(const GatedDeltaRuleParams&) = 0;

  virtual void ChannelSum(const ChannelSumParams&) = 0;
  virtual void SecondMoment(const SecondMomentParams&) = 0;
  virtual void Moment(const MomentParams&) = 0;
  virtual void Matvec(const MatvecParams&) = 0;
  virtual void QuadraticForm(const QuadraticFormParams&) = 0;

  virtual void FakeQuantize(const FakeQuantizeParams&) = 0;
  virtual void FindScales(const FindScalesParams&) = 0;
  virtual void Quantize(const QuantizeParams&) = 0;
  virtual void Dequantize(const DequantizeParams&) = 0;
  virtual void DequantizeFloat8(const DequantizeFloat8Params&) = 0;
  virtual void DequantizeFloat4(const DequantizeFloat4Params&) = 0;
  virtual void PackCodes(const CodeWordsParams&) = 0;      // makes words
  virtual void UnpackCodes(const CodeWordsParams&) = 0;    // makes codes
  virtual void PackBlocks(const CodeBlocksParams&) = 0;    // makes blocks
  virtual void UnpackBlocks(const CodeBlocksParams&) = 0;  // makes codes, scales and zeros
  virtual void SuperScales(const SuperScalesParams&) = 0;
  virtual void PackSuperBlocks(const SuperBlocksParams&) = 0;    // makes blocks
  virtual void UnpackSuperBlocks(const SuperBlocksParams&) = 0;  // makes codes, scales and zeros
  virtual void Factorize(const FactorizeParams&) = 0;
  virtual void Gptq(const GptqParams&) = 0;
  virtual void Descend(const DescendParams&) = 0;
  virtual void RefitScales(const RefitScalesParams&) = 0;
  virtual void RefitSwept(const RefitSweptParams&) = 0;

  // Attention step by step, and gradients: what calibration asks for.
  virtual void HeadProduct(const HeadProductParams&) = 0;
  virtual void Softmax(const SoftmaxParams&) = 0;
  virtual void TwinQuantize(const TwinQuantizeParams&) = 0;
  virtual void SoftmaxGradient(const SoftmaxGradientParams&) = 0;
  virtual void LayerNormGradient(const LayerNormGradientParams&) = 0;
  virtual void ActivationGradient(const ActivationGradientParams&) = 0;
};

}  // namespace ballast
