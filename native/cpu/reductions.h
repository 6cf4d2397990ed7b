// Sums over tokens. Semantics: native/backend/params.h.
#pragma once

#include <functional>

#include "native/backend/params.h"
#include "native/cpu/context.h"

namespace ballast::cpu {

void ChannelSum(const Context& context, const ChannelSumParams& params);

// sum[c] += Σ_rows x[row, c], where prepare(begin, end), if any, fills these rows of x first.
void SumRows(const Context& context, const View& x, double* sum,
             const std::function<void(std::int64_t, std::int64_t)>& prepare);

}  // namespace ballast::cpu
