// Asks the processor (CPUID) and the operating system (XCR0, and on Linux the permission for AMX
// tiles, which arch_prctl grants a process once for all of its threads). Source: Intel SDM volume
// 1, chapters 13-18.
#include "native/cpu/instruction_set.h"

#include <cstdint>
#include <cstdlib>
#include <string>

#include "native/core/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace ballast::cpu {
namespace {

#if defined(__x86_64__)

struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Registers Cpuid(unsigned leaf, unsigned subleaf) {
  Registers r;
  __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;
}

constexpr bool Has(std::uint64_t word, std::uint64_t bits) { return (word & bits) == bits; }

constexpr std::uint64_t Bit(int i) { return std::uint64_t{1} << i; }

// The register state that the operating system saves on a context switch.
std::uint64_t EnabledState() {
  if (!Has(Cpuid(1, 0).ecx, Bit(27))) return 0;  // OSXSAVE
  std::uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}

bool MayUseTiles() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

std::vector<InstructionSet> Detect() {
  std::vector<InstructionSet> found = {InstructionSet::kGeneric};
  const std::uint64_t state = EnabledState();
  const Registers base = Cpuid(1, 0);
  const Registers features = Cpuid(7, 0);
  const bool avx2 = Has(state, Bit(1) | Bit(2)) && Has(base.ecx, Bit(12) | Bit(28) | Bit(29)) &&
                    Has(features.ebx, Bit(5));  // FMA, AVX, F16C; AVX2
  if (!avx2) return found;
  found.push_back(InstructionSet::kAvx2);
  const bool avx512 = Has(state, Bit(5) | Bit(6) | Bit(7)) &&
                      Has(features.ebx, Bit(16) | Bit(17) | Bit(30) | Bit(31));  // F, DQ, BW, VL
  if (!avx512) return found;
  found.push_back(InstructionSet::kAvx512);
  if (!Has(Cpuid(7, 1).eax, Bit(5))) return found;
  found.push_back(InstructionSet::kAvx512Bf16);
  const bool tiles = Has(state, Bit(17) | Bit(18)) && Has(features.edx, Bit(22) | Bit(24));
  if (tiles && MayUseTiles()) found.push_back(InstructionSet::kAmxBf16);
  return found;
}

#else

std::vector<InstructionSet> Detect() { return {InstructionSet::kGeneric}; }

#endif

}  // namespace

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
  static const std::vector<InstructionSet> available = Detect();
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
