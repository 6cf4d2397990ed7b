// Element by element, or row and column selection. Every op here and beside checks shapes and
// dtypes at once, enqueues one backend call and returns the handle of its result. Formulas:
// native/backend/params.h.
#pragma once

#include "native/ops/check.h"
#include "native/ops/device.h"

namespace ballast {

Tensor Cast(Device& device, const Tensor& in, DType dtype);
// [1] float64: how many elements are NaN or infinite.
Tensor CountNonFinite(Device& device, const Tensor& in);
// a and b of one shape, float32; or b [cols] repeated over the rows of a. The result's dtype is an
// operand type.
Tensor Binary(Device& device, BinaryKind kind, const Tensor& a, const Tensor& b, DType dtype);
Tensor Scale(Device& device, const Tensor& in, double factor);
Tensor Activate(Device& device, Activation kind, const Tensor& in);
Tensor Softcap(Device& device, const Tensor& in, double cap);
// index int32, every entry in range: checked by the task. Columns may be those of `in` and, beside
// them, those of another tensor of as many rows.
Tensor SelectColumns(Device& device, const Tensor& in, const Tensor& index,
                     const OptionalTensor& beside);
Tensor SelectRows(Device& device, const Tensor& in, const Tensor& index);
Tensor Transpose(Device& device, const Tensor& in);

}  // namespace ballast
