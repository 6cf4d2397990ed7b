// Stands in for cuda/warpgroup.cuh: the same functions, by the definition of the instructions in
// the PTX manual. Products read shared memory at the wait that needs them, the latest moment a GPU
// may; until then their sums are NaN.
#pragma once

#include "bulk_copy.h"
#include "emulation.h"
#include "tensor_sum.h"

namespace ballast::cuda {

using Barrier = std::uint64_t;

// Addresses of shared memory begin somewhere: at no rounder number than the language promises.
constexpr unsigned kSharedBegin = 1024 + 128;

inline unsigned shared_address(const void* shared) {
  return kSharedBegin + static_cast<unsigned>(static_cast<const unsigned char*>(shared) -
                                              emulation::shared_memory);
}

inline void init_barrier(Barrier* barrier, unsigned arrivals) {
  emulation::InitBarrier(barrier, arrivals);
}
inline void fence_for_copies() { emulation::FenceForCopies(); }
inline void arrive(Barrier* barrier) { emulation::ArriveAt(barrier, 0); }
inline void arrive_expecting(Barrier* barrier, unsigned bytes) {
  emulation::ArriveAt(barrier, bytes);
}
inline void wait_for_phase(Barrier* barrier, unsigned parity) {
  emulation::WaitForPhase(barrier, parity);
}
inline void copy_bulk(void* shared, const void* global, unsigned bytes, Barrier* barrier) {
  emulation::CopyBulk(shared, global, bytes, barrier);
}

template <int kCount>
void change_registers() {
  static_assert(kCount >= 24 && kCount <= 256 && kCount % 8 == 0);
  emulation::WaitForWarpgroup();
}
template <int kCount>
void give_registers() {
  change_registers<kCount>();
}
template <int kCount>
void take_registers() {
  change_registers<kCount>();
}

inline void fence_products() {
  emulation::WaitForWarp();
  emulation::current->products_fenced = true;
}

inline void commit_products() {
  emulation::WaitForWarp();
  emulation::current->product_groups.push_back(std::move(emulation::current->products));
  emulation::current->products.clear();
}

// Sixteen numbers of a row of a factor, two in a word. Only the form that the kernel asks for:
// depth contiguous, rows of 128 bytes, groups of eight rows, chunks exchanged in a pattern of 1024
// bytes.
struct FactorRow {
  std::uint32_t words[8];
  bool zero = true, finite = true;

  FactorRow(std::uint64_t descriptor, int row) {
    const auto field = [&](int shift) { return unsigned(descriptor >> shift & 0x3fff) << 4; };
    const unsigned start = field(0), next_group = field(32);
    if (descriptor >> 62 != 1 || (descriptor >> 49 & 7) != 0) emulation::Fail("a wrong descriptor");
    if (start % 1024 > 96) emulation::Fail("a factor that does not begin in the first row");
    const unsigned linear = start + row / 8 * next_group + row % 8 * 128;
    for (int chunk = 0; chunk < 2; ++chunk) {
      const unsigned address = linear + chunk * 16;
      const unsigned exchanged = address ^ (address >> 7 & 7) << 4;
      if (exchanged < kSharedBegin || exchanged - kSharedBegin + 16 > emulation::shared_bytes) {
        emulation::Fail("a factor outside the block's shared memory");
      }
      std::memcpy(words + chunk * 4, emulation::shared_memory + (exchanged - kSharedBegin), 16);
    }
    for (const std::uint32_t word : words) {
      zero = zero && word == 0;
      finite = finite && emulation::IsFinite(word);
    }
  }
};

// The thread's part: rows lane/4 and lane/4 + 8 of its warp's sixteen, two columns of every eight.
inline void Compute(const emulation::WarpgroupProduct& product, float* sums) {
  const int thread = emulation::current->number % 128, lane = thread % 32;
  const int row = thread / 32 * 16 + lane / 4;
  const FactorRow left[2] = {{product.a, row}, {product.a, row + 8}};
  for (int i = 0; i < product.columns / 4; ++i) {
    const FactorRow right(product.b, i / 2 * 8 + lane % 4 * 2 + i % 2);
    for (int half = 0; half < 2; ++half) {
      float& sum = sums[i / 2 * 4 + half * 2 + i % 2];
      double total = product.keep ? sum : 0;
      const bool padding = (left[half].zero && right.finite) || (right.zero && left[half].finite);
      for (int k = 0; k < 16 && !padding; ++k) {
        total += emulation::ElementOf(left[half].words[k / 2], k % 2) *
                 emulation::ElementOf(right.words[k / 2], k % 2);
      }
      sum = emulation::Cut(total);
    }
  }
}

// A warpgroup starts a product as one: all its threads give the same factors.
template <int kCount>
void multiply_add(float (&sums)[kCount], std::uint64_t a, std::uint64_t b, bool keep) {
  emulation::Fiber& fiber = *emulation::current;
  const emulation::WarpgroupProduct product = {sums, kCount * 2, a, b, keep};
  const std::uint64_t operands[3] = {a, b, keep};
  std::memcpy(emulation::MailboxOf(fiber.number), operands, sizeof operands);
  emulation::WaitForWarpgroup();
  const void* first = emulation::MailboxOf(fiber.number / 128 * 128);
  if (std::memcmp(first, operands, sizeof operands) != 0) emulation::Fail("different factors");
  emulation::WaitForWarpgroup();
  if (!fiber.products_fenced) emulation::Fail("products without a fence after the last wait");
  if (fiber.sums.try_emplace(sums, sums, sums + kCount).second) {
    std::fill(sums, sums + kCount, NAN);
  }
  fiber.products.push_back(product);
}

template <int kPending>
void wait_for_products() {
  emulation::Fiber& fiber = *emulation::current;
  auto& groups = fiber.product_groups;
  if (!fiber.products.empty()) emulation::Fail("a wait for products that are not committed");
  for (; groups.size() > kPending; groups.erase(groups.begin())) {
    for (const auto& product : groups.front()) Compute(product, fiber.sums.at(product.sums).data());
  }
  std::erase_if(fiber.sums, [&](const auto& entry) {
    for (const auto& group : groups) {
      for (const auto& product : group) {
        if (product.sums == entry.first) return false;
      }
    }
    std::copy(entry.second.begin(), entry.second.end(), entry.first);
    return true;
  });
  fiber.products_fenced = false;
  emulation::WaitForWarp();
}

template <int kCount>
void settle(float (&sums)[kCount]) {
  if (emulation::current->sums.contains(sums)) emulation::Fail("sums that are under way are read");
}

}  // namespace ballast::cuda
