// From JavaScript values to the parameter types of ops, and back: one overload a type. TypeScript
// has validated ranges and defaults already, so these only refuse what would be read wrongly.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "native/binding/handles.h"
#include "native/binding/napi_setup.h"
#include "native/ops/descent.h"
#include "native/ops/devices.h"
#include "native/ops/experts.h"
#include "native/ops/explicit.h"
#include "native/ops/layers.h"
#include "native/ops/quantization.h"
#include "native/ops/recurrence.h"
#include "native/ops/statistics.h"
#include "native/ops/super_blocks.h"

namespace ballast::binding {

// ---- From JavaScript. The tag parameter chooses the overload. ----
template <class T>
struct As {};

double FromJs(const Napi::Value& value, As<double>);
std::int64_t FromJs(const Napi::Value& value, As<std::int64_t>);
int FromJs(const Napi::Value& value, As<int>);
bool FromJs(const Napi::Value& value, As<bool>);
std::string FromJs(const Napi::Value& value, As<std::string>);
Tensor FromJs(const Napi::Value& value, As<Tensor>);
OptionalTensor FromJs(const Napi::Value& value, As<OptionalTensor>);
Shape FromJs(const Napi::Value& value, As<Shape>);
DType FromJs(const Napi::Value& value, As<DType>);
Precision FromJs(const Napi::Value& value, As<Precision>);
Activation FromJs(const Napi::Value& value, As<Activation>);
BinaryKind FromJs(const Napi::Value& value, As<BinaryKind>);
WeightLayout FromJs(const Napi::Value& value, As<WeightLayout>);
Granularity FromJs(const Napi::Value& value, As<Granularity>);
HeadProductKind FromJs(const Napi::Value& value, As<HeadProductKind>);
Scoring FromJs(const Napi::Value& value, As<Scoring>);
Scheme FromJs(const Napi::Value& value, As<Scheme>);
MatmulOptions FromJs(const Napi::Value& value, As<MatmulOptions>);
AttentionOptions FromJs(const Napi::Value& value, As<AttentionOptions>);
RopeOptions FromJs(const Napi::Value& value, As<RopeOptions>);
ChooseExpertsOptions FromJs(const Napi::Value& value, As<ChooseExpertsOptions>);
ExpertWeightsOptions FromJs(const Napi::Value& value, As<ExpertWeightsOptions>);
ClampedSwigluOptions FromJs(const Napi::Value& value, As<ClampedSwigluOptions>);
CausalConvolutionOptions FromJs(const Napi::Value& value, As<CausalConvolutionOptions>);
GatedDeltaRuleOptions FromJs(const Napi::Value& value, As<GatedDeltaRuleOptions>);
MomentOptions FromJs(const Napi::Value& value, As<MomentOptions>);
FakeQuantizeOptions FromJs(const Napi::Value& value, As<FakeQuantizeOptions>);
DescendOptions FromJs(const Napi::Value& value, As<DescendOptions>);
HeadProductOptions FromJs(const Napi::Value& value, As<HeadProductOptions>);
SoftmaxOptions FromJs(const Napi::Value& value, As<SoftmaxOptions>);
TwinOptions FromJs(const Napi::Value& value, As<TwinOptions>);

// ---- To JavaScript. Structs of tensors become objects of handles. ----
Napi::Value ToJs(Napi::Env env, const Tensor& tensor);
Napi::Value ToJs(Napi::Env env, const ScalesAndZeros& value);
Napi::Value ToJs(Napi::Env env, const GridCodes& value);
Napi::Value ToJs(Napi::Env env, const Factor& value);
Napi::Value ToJs(Napi::Env env, const GptqResult& value);
Napi::Value ToJs(Napi::Env env, const DescendResult& value);
Napi::Value ToJs(Napi::Env env, const SuperScalesResult& value);
Napi::Value ToJs(Napi::Env env, const std::vector<DeviceInfo>& devices);

}  // namespace ballast::binding
