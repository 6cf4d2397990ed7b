// Which vector instructions this process uses: the best that processor and operating system offer,
// or the one that the environment variable BALLAST_INSTRUCTION_SET names.
#pragma once

#include <string_view>
#include <vector>

namespace ballast::cpu {

// Each level includes those before it.
//   avx2: AVX2, FMA, F16C.   avx512: F, BW, DQ, VL.   avx512_bf16, amx_bf16: bfloat16 products.
enum class InstructionSet { kGeneric, kAvx2, kAvx512, kAvx512Bf16, kAmxBf16 };

// "generic", "avx2", "avx512", "avx512_bf16", "amx_bf16".
std::string_view InstructionSetName(InstructionSet instruction_set);

// What this machine can run, slowest first; never empty.
const std::vector<InstructionSet>& AvailableInstructionSets();

// The choice for a backend that is made now: the environment is read at each call, so that one
// process can compare them all. Throws Error{kUnsupported} when it names one that the machine
// cannot run.
InstructionSet ActiveInstructionSet();

}  // namespace ballast::cpu
