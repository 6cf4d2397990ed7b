// Uniform quantization of weights and activations. Semantics: native/backend/params.h.
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void FakeQuantize(const Context& context, const FakeQuantizeParams& params);
void FindScales(const Context& context, const FindScalesParams& params);
void Quantize(const Context& context, const QuantizeParams& params);
void Dequantize(const Context& context, const DequantizeParams& params);

// Scale and zero of one group of `count` weights, as Scheme says; `weights_or_null` are the channel
// weights of the clipping search. A scale that scale_dtype cannot hold becomes the nearest positive
// finite one.
void FindGroupScale(const Kernels& kernels, const float* w, std::int64_t count,
                    const float* weights_or_null, const Scheme& scheme, float* scale, float* zero);

}  // namespace ballast::cpu
