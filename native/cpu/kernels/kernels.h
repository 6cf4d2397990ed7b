// The inner loops, as one table of function pointers for each instruction set. Files in this folder
// are compiled once an instruction set, in the namespace BALLAST_ISA, with flags the machine may
// lack. So they use raw pointers, static functions and intrinsics only: a weak symbol (an inline
// function or template of the standard library) compiled here could be picked by the linker for
// code that runs on every machine.
#pragma once

#include "native/cpu/instruction_set.h"
#include "native/cpu/kernels/linear_kernels.h"
#include "native/cpu/kernels/row_kernels.h"

namespace ballast::cpu {

struct Kernels {
  LinearKernels linear;
  RowKernels row;
};

// The table for an instruction set that the machine has; it lives as long as the process.
const Kernels& KernelsFor(InstructionSet instruction_set);

}  // namespace ballast::cpu
