#include "native/cpu/instruction_set.h"

#include <cstdlib>
#include <string>

#include "native/core/error.h"

namespace ballast::cpu {

std::string_view InstructionSetName(InstructionSet instruction_set) {
  switch (instruction_set) {
    case InstructionSet::kGeneric:
      return "generic";
    case InstructionSet::kAvx2:
      return "avx2";
    case InstructionSet::kAvx512:
      return "avx512";
    case InstructionSet::kAvx512Bf16:
      return "avx512_bf16";
    case InstructionSet::kAmxBf16:
      return "amx_bf16";
  }
  return "unknown";
}

const std::vector<InstructionSet>& AvailableInstructionSets() {
  // Never destroyed: a process may exit while queues still compute.
  static const auto& available = *new std::vector<InstructionSet>(DetectInstructionSets());
  return available;
}

InstructionSet ActiveInstructionSet() {
  const std::vector<InstructionSet>& available = AvailableInstructionSets();
  const char* wanted = std::getenv("BALLAST_INSTRUCTION_SET");
  if (wanted == nullptr || *wanted == '\0') return available.back();
  std::string names;
  for (const InstructionSet instruction_set : available) {
    if (InstructionSetName(instruction_set) == wanted) return instruction_set;
    if (!names.empty()) names += ", ";
    names += InstructionSetName(instruction_set);
  }
  throw Error(ErrorCode::kUnsupported,
              "Expected one of " + names +
                  " (what this machine can run) for BALLAST_INSTRUCTION_SET but received '" +
                  wanted + "'.");
}

Float32Products ActiveFloat32Products(InstructionSet instruction_set) {
  const char* text = std::getenv("BALLAST_FLOAT32_PRODUCTS");
  const std::string_view wanted = text == nullptr ? "" : text;
  if (wanted == "fma") return Float32Products::kFma;
  if (wanted.empty()) {
    const bool tiles = instruction_set == InstructionSet::kAmxBf16;
    return tiles ? Float32Products::kSix : Float32Products::kFma;
  }
  const bool bfloat16 = instruction_set >= InstructionSet::kAvx512Bf16;
  if (bfloat16 && wanted == "three") return Float32Products::kThree;
  if (bfloat16 && wanted == "six") return Float32Products::kSix;
  throw Error(ErrorCode::kUnsupported,
              std::string(bfloat16 ? "Expected fma, three or six" : "Expected fma") + " (what " +
                  std::string(InstructionSetName(instruction_set)) +
                  " has) for BALLAST_FLOAT32_PRODUCTS but received '" + std::string(wanted) + "'.");
}

}  // namespace ballast::cpu
