// The tables of all instruction sets. The two with bfloat16 products differ from avx512 in what is
// made of those alone.
#include "native/cpu/kernels/kernels.h"

namespace ballast::cpu {
namespace {

#if defined(__x86_64__)
Kernels With(const BFloat16Kernels& bfloat16) {
  Kernels kernels = {avx512::MakeLinearKernels(), avx512::MakeRowKernels()};
  kernels.linear.bfloat16 = bfloat16;
  return kernels;
}
#endif

const Kernels& Generic() {
  static const Kernels kernels = {generic::MakeLinearKernels(), generic::MakeRowKernels()};
  return kernels;
}

}  // namespace

const Kernels& KernelsFor(InstructionSet instruction_set) {
  switch (instruction_set) {
#if defined(__x86_64__)
    case InstructionSet::kAvx2: {
      static const Kernels kernels = {avx2::MakeLinearKernels(), avx2::MakeRowKernels()};
      return kernels;
    }
    case InstructionSet::kAvx512: {
      static const Kernels kernels = {avx512::MakeLinearKernels(), avx512::MakeRowKernels()};
      return kernels;
    }
    case InstructionSet::kAvx512Bf16: {
      static const Kernels kernels = With(avx512_bf16::MakeBFloat16Kernels());
      return kernels;
    }
    case InstructionSet::kAmxBf16: {
      static const Kernels kernels = With(amx_bf16::MakeBFloat16Kernels());
      return kernels;
    }
#endif
    default:
      return Generic();
  }
}

}  // namespace ballast::cpu
