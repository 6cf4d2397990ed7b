// Operations on single elements, and moves of whole elements. Semantics: native/backend/backend.h.
#pragma once

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

// From any dtype to a float dtype, rounding to nearest even.
void Cast(const Context& context, const View& in, const View& out);
// NaNs and infinities of a float dtype; integers have none.
void CountNonFinite(const Context& context, const View& in, const View& count);
// b may be shorter than a: it then repeats, as a row added to each row.
void Binary(const Context& context, BinaryKind kind, const View& a, const View& b, const View& out);
void Scale(const Context& context, const View& in, double factor, const View& out);
void Activate(const Context& context, Activation kind, const View& in, const View& out);
void Softcap(const Context& context, const View& in, double cap, const View& out);

// Both throw Error{kShape} for an index out of range.
void SelectColumns(const Context& context, const View& in, const View& beside, const View& index,
                   const View& out);
void SelectRows(const Context& context, const View& in, const View& index, const View& out);
// Of a matrix.
void Transpose(const Context& context, const View& in, const View& out);

// The kernel of an activation; null for kNone.
UnaryKernel ActivationKernel(const RowKernels& kernels, Activation kind);

}  // namespace ballast::cpu
