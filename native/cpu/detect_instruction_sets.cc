// Asks the processor (CPUID) and the operating system (XCR0, and on Linux the permission for AMX
// tiles, which arch_prctl grants a process once for all of its threads). Source: Intel SDM volume
// 1, chapters 13-18.
#include <cstdint>

#include "native/cpu/instruction_set.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace ballast::cpu {
#if defined(__x86_64__)
namespace {

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

}  // namespace

std::vector<InstructionSet> DetectInstructionSets() {
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

std::vector<InstructionSet> DetectInstructionSets() { return {InstructionSet::kGeneric}; }

#endif

}  // namespace ballast::cpu
