// Other looks at the same storage; nothing is enqueued.
#pragma once

#include "native/core/tensor.h"

namespace ballast {

// The same elements in the same order under another shape.
Tensor Reshape(const Tensor& tensor, Shape shape);
// Rows begin … end−1 of the first axis.
Tensor SliceRows(const Tensor& tensor, std::int64_t begin, std::int64_t end);

}  // namespace ballast
