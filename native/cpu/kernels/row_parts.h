// Each row_*.cc file fills its part of the table of the instruction set that it is compiled for.
#pragma once

#include "native/cpu/kernels/row_kernels.h"

namespace ballast::cpu::BALLAST_ISA {

void AddConversionKernels(RowKernels& table);
void AddElementwiseKernels(RowKernels& table);
void AddNormalizationKernels(RowKernels& table);
void AddReductionKernels(RowKernels& table);
void AddAttentionKernels(RowKernels& table);
void AddDeltaRuleKernels(RowKernels& table);
void AddQuantizationKernels(RowKernels& table);

}  // namespace ballast::cpu::BALLAST_ISA
