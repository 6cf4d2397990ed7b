// Every instruction set, on a processor with AVX2: what is wider is emulated in this build.
#include "native/cpu/instruction_set.h"

namespace ballast::cpu {

std::vector<InstructionSet> DetectInstructionSets() {
  return {InstructionSet::kGeneric, InstructionSet::kAvx2, InstructionSet::kAvx512,
          InstructionSet::kAvx512Bf16, InstructionSet::kAmxBf16};
}

}  // namespace ballast::cpu
