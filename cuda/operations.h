// The launchers, one an operation, in the file of that name. Each queues its work in the context's
// stream and validates nothing but what only the data shows.
#pragma once

#include "cuda/context.h"
#include "cuda/interface.h"

namespace ballast::cuda {

void Cast(const Context& context, const ConversionParams& params);
void CountNonFinite(const Context& context, const ConversionParams& params);
void Binary(const Context& context, const BinaryParams& params);
void Scale(const Context& context, const MapParams& params);
void Activate(const Context& context, const MapParams& params);
void Softcap(const Context& context, const MapParams& params);
void SelectColumns(const Context& context, const SelectionParams& params);
void SelectRows(const Context& context, const SelectionParams& params);
void Transpose(const Context& context, const SelectionParams& params);

void Matmul(const Context& context, const MatmulParams& params);
void Attention(const Context& context, const AttentionParams& params);
void LayerNorm(const Context& context, const LayerNormParams& params);
void RmsNorm(const Context& context, const RmsNormParams& params);
void Rope(const Context& context, const RopeParams& params);
void Embedding(const Context& context, const EmbeddingParams& params);
void CrossEntropy(const Context& context, const CrossEntropyParams& params);

void ChooseExperts(const Context& context, const ChooseExpertsParams& params);
void ExpertWeights(const Context& context, const ExpertWeightsParams& params);
void ClampedSwiglu(const Context& context, const ClampedSwigluParams& params);
void AddExpert(const Context& context, const AddExpertParams& params);

void CausalConvolution(const Context& context, const CausalConvolutionParams& params);
void GatedDeltaRule(const Context& context, const GatedDeltaRuleParams& params);

void ChannelSum(const Context& context, const ChannelSumParams& params);
void SecondMoment(const Context& context, const SecondMomentParams& params);
void Moment(const Context& context, const MomentParams& params);
void Matvec(const Context& context, const MatvecParams& params);
void QuadraticForm(const Context& context, const QuadraticFormParams& params);

void FakeQuantize(const Context& context, const FakeQuantizeParams& params);
void FindScales(const Context& context, const FindScalesParams& params);
void Quantize(const Context& context, const QuantizeParams& params);
void Dequantize(const Context& context, const DequantizeParams& params);
void DequantizeFloat8(const Context& context, const DequantizeFloat8Params& params);
void DequantizeFloat4(const Context& context, const DequantizeFloat4Params& params);
void PackCodes(const Context& context, const CodeWordsParams& params);
void UnpackCodes(const Context& context, const CodeWordsParams& params);
void PackBlocks(const Context& context, const CodeBlocksParams& params);
void UnpackBlocks(const Context& context, const CodeBlocksParams& params);
void SuperScales(const Context& context, const SuperScalesParams& params);
void PackSuperBlocks(const Context& context, const SuperBlocksParams& params);
void UnpackSuperBlocks(const Context& context, const SuperBlocksParams& params);
void Factorize(const Context& context, const FactorizeParams& params);
void Gptq(const Context& context, const GptqParams& params);
void Descend(const Context& context, const DescendParams& params);
void RefitScales(const Context& context, const RefitScalesParams& params);
void RefitSwept(const Context& context, const RefitSweptParams& params);

void HeadProduct(const Context& context, const HeadProductParams& params);
void Softmax(const Context& context, const SoftmaxParams& params);
void TwinQuantize(const Context& context, const TwinQuantizeParams& params);
void SoftmaxGradient(const Context& context, const SoftmaxGradientParams& params);
void LayerNormGradient(const Context& context, const LayerNormGradientParams& params);
void ActivationGradient(const Context& context, const ActivationGradientParams& params);

}  // namespace ballast::cuda
