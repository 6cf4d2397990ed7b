#include "native/binding/convert.h"

#include <array>
#include <string_view>
#include <utility>

namespace ballast::binding {
namespace {

// An object's contents may be a whole tensor's.
[[noreturn]] void Refuse(const Napi::Value& value, const char* expected) {
  const std::string received = value.IsObject() ? "an object" : value.ToString().Utf8Value();
  throw Napi::TypeError::New(
      value.Env(), std::string("Expected ") + expected + " but received " + received + ".");
}

template <class T, std::size_t N>
T FromName(const Napi::Value& value, const std::array<std::pair<std::string_view, T>, N>& names) {
  const std::string name = FromJs(value, As<std::string>{});
  for (const auto& [key, entry] : names) {
    if (key == name) return entry;
  }
  Refuse(value, "one of the operation's names");
}

// Reads object[key] into field.
template <class T>
void Field(const Napi::Value& object, const char* key, T& field) {
  if (!object.IsObject()) Refuse(object, "an object");
  field = FromJs(object.As<Napi::Object>().Get(key), As<T>{});
}

}  // namespace

double FromJs(const Napi::Value& value, As<double>) {
  if (!value.IsNumber()) Refuse(value, "a number");
  return value.As<Napi::Number>().DoubleValue();
}

std::int64_t FromJs(const Napi::Value& value, As<std::int64_t>) {
  const double number = FromJs(value, As<double>{});
  const auto whole = static_cast<std::int64_t>(number);
  if (static_cast<double>(whole) != number) Refuse(value, "a whole number");
  return whole;
}

int FromJs(const Napi::Value& value, As<int>) {
  return static_cast<int>(FromJs(value, As<std::int64_t>{}));
}

bool FromJs(const Napi::Value& value, As<bool>) {
  if (!value.IsBoolean()) Refuse(value, "a boolean");
  return value.As<Napi::Boolean>().Value();
}

std::string FromJs(const Napi::Value& value, As<std::string>) {
  if (!value.IsString()) Refuse(value, "a string");
  return value.As<Napi::String>().Utf8Value();
}

Tensor FromJs(const Napi::Value& value, As<Tensor>) { return UnwrapTensor(value); }

OptionalTensor FromJs(const Napi::Value& value, As<OptionalTensor>) {
  if (value.IsUndefined()) return std::nullopt;
  return UnwrapTensor(value);
}

Shape FromJs(const Napi::Value& value, As<Shape>) {
  if (!value.IsArray()) Refuse(value, "an array of extents");
  const auto array = value.As<Napi::Array>();
  std::vector<std::int64_t> extents;
  for (std::uint32_t axis = 0; axis < array.Length(); ++axis) {
    extents.push_back(FromJs(array.Get(axis), As<std::int64_t>{}));
  }
  return Shape(std::span<const std::int64_t>(extents));
}

DType FromJs(const Napi::Value& value, As<DType>) {
  return ParseDType(FromJs(value, As<std::string>{}));
}

Precision FromJs(const Napi::Value& value, As<Precision>) {
  return FromName(value, std::to_array<std::pair<std::string_view, Precision>>(
                             {{"float32", Precision::kFloat32},
                              {"bfloat16x3", Precision::kBFloat16x3},
                              {"bfloat16", Precision::kBFloat16}}));
}

Activation FromJs(const Napi::Value& value, As<Activation>) {
  return FromName(value, std::to_array<std::pair<std::string_view, Activation>>(
                             {{"none", Activation::kNone},
                              {"relu", Activation::kRelu},
                              {"gelu", Activation::kGelu},
                              {"gelu_tanh", Activation::kGeluTanh},
                              {"quick_gelu", Activation::kQuickGelu},
                              {"silu", Activation::kSilu},
                              {"sigmoid", Activation::kSigmoid},
                              {"tanh", Activation::kTanh}}));
}

BinaryKind FromJs(const Napi::Value& value, As<BinaryKind>) {
  return FromName(value, std::to_array<std::pair<std::string_view, BinaryKind>>(
                             {{"add", BinaryKind::kAdd},
                              {"subtract", BinaryKind::kSubtract},
                              {"multiply", BinaryKind::kMultiply}}));
}

WeightLayout FromJs(const Napi::Value& value, As<WeightLayout>) {
  return FromName(value, std::to_array<std::pair<std::string_view, WeightLayout>>(
                             {{"out_in", WeightLayout::kOutIn}, {"in_out", WeightLayout::kInOut}}));
}

Granularity FromJs(const Napi::Value& value, As<Granularity>) {
  return FromName(value, std::to_array<std::pair<std::string_view, Granularity>>(
                             {{"tensor", Granularity::kTensor},
                              {"row", Granularity::kRow},
                              {"group", Granularity::kGroup}}));
}

Scheme FromJs(const Napi::Value& value, As<Scheme>) {
  Scheme scheme;
  Field(value, "bits", scheme.bits);
  Field(value, "groupSize", scheme.group_size);
  Field(value, "symmetric", scheme.symmetric);
  Field(value, "clipSteps", scheme.clip_steps);
  Field(value, "clipRange", scheme.clip_range);
  Field(value, "clipExponent", scheme.clip_exponent);
  Field(value, "scaleDtype", scheme.scale_dtype);
  return scheme;
}

MatmulOptions FromJs(const Napi::Value& value, As<MatmulOptions>) {
  MatmulOptions options;
  Field(value, "activation", options.activation);
  Field(value, "layout", options.layout);
  Field(value, "precision", options.precision);
  Field(value, "dtype", options.dtype);
  return options;
}

AttentionOptions FromJs(const Napi::Value& value, As<AttentionOptions>) {
  AttentionOptions options;
  Field(value, "sequence", options.sequence);
  Field(value, "heads", options.heads);
  Field(value, "keyValueHeads", options.key_value_heads);
  Field(value, "scale", options.scale);
  Field(value, "softcap", options.softcap);
  Field(value, "window", options.window);
  Field(value, "causal", options.causal);
  Field(value, "precision", options.precision);
  Field(value, "dtype", options.dtype);
  return options;
}

RopeOptions FromJs(const Napi::Value& value, As<RopeOptions>) {
  RopeOptions options;
  Field(value, "sequence", options.sequence);
  Field(value, "headSize", options.head_size);
  Field(value, "interleaved", options.interleaved);
  return options;
}

Scoring FromJs(const Napi::Value& value, As<Scoring>) {
  return FromName(value, std::to_array<std::pair<std::string_view, Scoring>>(
                             {{"softmax", Scoring::kSoftmax}, {"sigmoid", Scoring::kSigmoid}}));
}

ChooseExpertsOptions FromJs(const Napi::Value& value, As<ChooseExpertsOptions>) {
  ChooseExpertsOptions options;
  Field(value, "count", options.count);
  Field(value, "scoring", options.scoring);
  Field(value, "groups", options.groups);
  Field(value, "keptGroups", options.kept_groups);
  Field(value, "bestOfGroup", options.best_of_group);
  return options;
}

ExpertWeightsOptions FromJs(const Napi::Value& value, As<ExpertWeightsOptions>) {
  ExpertWeightsOptions options;
  Field(value, "scoring", options.scoring);
  Field(value, "normalized", options.normalized);
  Field(value, "scale", options.scale);
  return options;
}

ClampedSwigluOptions FromJs(const Napi::Value& value, As<ClampedSwigluOptions>) {
  ClampedSwigluOptions options;
  Field(value, "slope", options.slope);
  Field(value, "limit", options.limit);
  Field(value, "dtype", options.dtype);
  return options;
}

CausalConvolutionOptions FromJs(const Napi::Value& value, As<CausalConvolutionOptions>) {
  CausalConvolutionOptions options;
  Field(value, "sequence", options.sequence);
  Field(value, "activation", options.activation);
  return options;
}

GatedDeltaRuleOptions FromJs(const Napi::Value& value, As<GatedDeltaRuleOptions>) {
  GatedDeltaRuleOptions options;
  Field(value, "sequence", options.sequence);
  Field(value, "keyHeads", options.key_heads);
  Field(value, "keySize", options.key_size);
  return options;
}

MomentOptions FromJs(const Napi::Value& value, As<MomentOptions>) {
  MomentOptions options;
  Field(value, "count", options.count);
  Field(value, "centred", options.centred);
  Field(value, "symmetric", options.symmetric);
  return options;
}

FakeQuantizeOptions FromJs(const Napi::Value& value, As<FakeQuantizeOptions>) {
  FakeQuantizeOptions options;
  Field(value, "granularity", options.granularity);
  Field(value, "groupSize", options.group_size);
  Field(value, "bits", options.bits);
  Field(value, "symmetric", options.symmetric);
  return options;
}

HeadProductKind FromJs(const Napi::Value& value, As<HeadProductKind>) {
  return FromName(value, std::to_array<std::pair<std::string_view, HeadProductKind>>(
                             {{"scores", HeadProductKind::kScores},
                              {"mix", HeadProductKind::kMix},
                              {"spread", HeadProductKind::kSpread}}));
}

HeadProductOptions FromJs(const Napi::Value& value, As<HeadProductOptions>) {
  HeadProductOptions options;
  Field(value, "kind", options.kind);
  Field(value, "sequence", options.sequence);
  Field(value, "heads", options.heads);
  Field(value, "keyValueHeads", options.key_value_heads);
  Field(value, "scale", options.scale);
  Field(value, "precision", options.precision);
  return options;
}

SoftmaxOptions FromJs(const Napi::Value& value, As<SoftmaxOptions>) {
  SoftmaxOptions options;
  Field(value, "heads", options.heads);
  Field(value, "softcap", options.softcap);
  Field(value, "window", options.window);
  Field(value, "causal", options.causal);
  return options;
}

TwinOptions FromJs(const Napi::Value& value, As<TwinOptions>) {
  TwinOptions options;
  Field(value, "threshold", options.threshold);
  Field(value, "lowScale", options.low_scale);
  Field(value, "lowMin", options.low_min);
  Field(value, "lowMax", options.low_max);
  Field(value, "highScale", options.high_scale);
  Field(value, "highMax", options.high_max);
  return options;
}

DescendOptions FromJs(const Napi::Value& value, As<DescendOptions>) {
  DescendOptions options;
  Field(value, "bits", options.bits);
  Field(value, "scaleDtype", options.scale_dtype);
  Field(value, "rounds", options.rounds);
  Field(value, "sweeps", options.sweeps);
  Field(value, "refit", options.refit);
  Field(value, "greedy", options.greedy);
  Field(value, "unrounded", options.unrounded);
  Field(value, "damping", options.damping);
  Field(value, "tolerance", options.tolerance);
  Field(value, "precision", options.precision);
  return options;
}

namespace {

// A tensor crosses as its handle together with what JavaScript wants to know of it without asking.
Napi::Object Describe(Napi::Env env, const Tensor& tensor) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("handle", WrapTensor(env, tensor));
  object.Set("dtype", std::string(DTypeName(tensor.dtype())));
  Napi::Array shape = Napi::Array::New(env);
  for (int axis = 0; axis < tensor.shape().rank(); ++axis) {
    shape.Set(static_cast<std::uint32_t>(axis),
              Napi::Number::New(env, static_cast<double>(tensor.shape()[axis])));
  }
  object.Set("shape", shape);
  return object;
}

}  // namespace

Napi::Value ToJs(Napi::Env env, const Tensor& tensor) { return Describe(env, tensor); }

Napi::Value ToJs(Napi::Env env, const ScalesAndZeros& value) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("scales", ToJs(env, value.scales));
  object.Set("zeros", ToJs(env, value.zeros));
  return object;
}

Napi::Value ToJs(Napi::Env env, const GridCodes& value) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("codes", ToJs(env, value.codes));
  object.Set("scales", ToJs(env, value.scales));
  object.Set("zeros", ToJs(env, value.zeros));
  return object;
}

Napi::Value ToJs(Napi::Env env, const Factor& value) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("factor", ToJs(env, value.factor));
  object.Set("info", ToJs(env, value.info));
  return object;
}

Napi::Value ToJs(Napi::Env env, const GptqResult& value) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("codes", ToJs(env, value.codes));
  object.Set("scales", ToJs(env, value.scales));
  object.Set("zeros", ToJs(env, value.zeros));
  object.Set("errors", ToJs(env, value.errors));
  return object;
}

Napi::Value ToJs(Napi::Env env, const DescendResult& value) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("codes", ToJs(env, value.codes));
  object.Set("scales", ToJs(env, value.scales));
  object.Set("zeros", ToJs(env, value.zeros));
  object.Set("errors", ToJs(env, value.errors));
  return object;
}

Napi::Value ToJs(Napi::Env env, const SuperScalesResult& value) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("scales", ToJs(env, value.scales));
  object.Set("zeros", ToJs(env, value.zeros));
  object.Set("scaleSteps", ToJs(env, value.scale_steps));
  object.Set("offsetSteps", ToJs(env, value.offset_steps));
  return object;
}

Napi::Value ToJs(Napi::Env env, const std::vector<DeviceInfo>& devices) {
  Napi::Array array = Napi::Array::New(env);
  for (std::uint32_t i = 0; i < devices.size(); ++i) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", devices[i].name);
    object.Set("available", devices[i].available);
    object.Set("description", devices[i].description);
    array.Set(i, object);
  }
  return array;
}

}  // namespace ballast::binding
