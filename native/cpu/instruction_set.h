// Which vector instructions this process uses: the best that processor and operating system offer,
// or the one that the environment variable BALLAST_INSTRUCTION_SET names. And how float32 products
// are formed with them.
#pragma once

#include <string_view>
#include <vector>

namespace ballast::cpu {

// Each level includes those before it.
//   avx2: AVX2, FMA, F16C.   avx512: F, BW, DQ, VL.   avx512_bf16, amx_bf16: bfloat16 products.
enum class InstructionSet { kGeneric, kAvx2, kAvx512, kAvx512Bf16, kAmxBf16 };

// "generic", "avx2", "avx512", "avx512_bf16", "amx_bf16".
std::string_view InstructionSetName(InstructionSet instruction_set);

// What processor and operating system can run, slowest first; asks them at each call.
std::vector<InstructionSet> DetectInstructionSets();

// The same, found once; never empty.
const std::vector<InstructionSet>& AvailableInstructionSets();

// The choice for a backend that is made now: the environment is read at each call, so that one
// process can compare them all. Throws Error{kUnsupported} when it names one that the machine
// cannot run.
InstructionSet ActiveInstructionSet();

// kFma: float32 multiply-adds.   kThree, kSix: bfloat16 products (kernels/split.h).
enum class Float32Products { kFma, kThree, kSix };

// What BALLAST_FLOAT32_PRODUCTS says, "fma", "three" or "six"; else six with AMX, whose bfloat16
// products have 16 times the peak of float32 multiply-adds, and fma everywhere else. Throws
// Error{kUnsupported} for three and six where there are no bfloat16 products.
Float32Products ActiveFloat32Products(InstructionSet instruction_set);

}  // namespace ballast::cpu
