// Puts the row-wise kernel table of one instruction set together.
#include "native/cpu/kernels/row_kernels.h"

#include "native/cpu/kernels/row_parts.h"
#include "native/cpu/kernels/vector.h"

namespace ballast::cpu::BALLAST_ISA {

RowKernels MakeRowKernels() {
  RowKernels table{};
  table.lanes = kLanes;
  AddConversionKernels(table);
  AddElementwiseKernels(table);
  AddNormalizationKernels(table);
  AddReductionKernels(table);
  AddAttentionKernels(table);
  AddDeltaRuleKernels(table);
  AddQuantizationKernels(table);
  return table;
}

}  // namespace ballast::cpu::BALLAST_ISA
