// Stands in for cuda/tensor_core.cuh: the same functions, by the definition of the instructions in
// the PTX manual. Asynchronous copies are made at the wait that needs them, the latest moment a GPU
// may; sums of a matrix product are cut to float32, as tensor cores do.
#pragma once

#include "emulation.h"
#include "tensor_sum.h"

namespace ballast::cuda {

inline void ExpectAligned(const void* address) {
  if (reinterpret_cast<std::uintptr_t>(address) % 16 != 0) emulation::Fail("a misaligned address");
}

inline void copy_async(void* shared, const void* global) {
  ExpectAligned(shared);
  ExpectAligned(global);
  emulation::current->begun.push_back({shared, global});
}

inline void commit_copies() {
  emulation::current->groups.push_back(std::move(emulation::current->begun));
  emulation::current->begun.clear();
}

template <int kPending>
void wait_for_copies() {
  auto& groups = emulation::current->groups;
  for (; groups.size() > kPending; groups.erase(groups.begin())) {
    for (const emulation::Copy& copy : groups.front()) std::memcpy(copy.to, copy.from, 16);
  }
}

inline void load_matrices(unsigned (&out)[4], const void* row) {
  ExpectAligned(row);
  const int lane = emulation::Lane();
  for (int matrix = 0; matrix < 4; ++matrix) {
    const void* from = emulation::Receive(row, matrix * 8 + lane / 4);
    std::memcpy(&out[matrix], static_cast<const char*>(from) + lane % 4 * 4, sizeof out[matrix]);
  }
}

inline void load_matrices_transposed(unsigned (&out)[4], const void* row) {
  ExpectAligned(row);
  const int lane = emulation::Lane();
  for (int matrix = 0; matrix < 4; ++matrix) {
    for (int i = 0; i < 2; ++i) {
      const void* from = emulation::Receive(row, matrix * 8 + lane % 4 * 2 + i);
      std::memcpy(reinterpret_cast<char*>(&out[matrix]) + 2 * i,
                  static_cast<const char*>(from) + lane / 4 * 2, 2);
    }
  }
}

struct Fragments {
  unsigned a[4];
  unsigned b[2];
};

inline void multiply_add(float (&sum)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  const int lane = emulation::Lane();
  const Fragments own = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  std::memcpy(emulation::Mailbox(lane), &own, sizeof own);
  emulation::WaitForWarp();
  const auto of = [](int lane) { return static_cast<const Fragments*>(emulation::Mailbox(lane)); };
  for (int i = 0; i < 4; ++i) {
    const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
    double total = sum[i];
    for (int k = 0; k < 16; k += 2) {
      const unsigned left = of(row % 8 * 4 + k % 8 / 2)->a[row / 8 + k / 8 * 2];
      const unsigned right = of(column * 4 + k % 8 / 2)->b[k / 8];
      // Small products are padding for the most part.
      if (left == 0 && emulation::IsFinite(right)) continue;
      if (right == 0 && emulation::IsFinite(left)) continue;
      for (int e = 0; e < 2; ++e) {
        total += emulation::ElementOf(left, e) * emulation::ElementOf(right, e);
      }
    }
    sum[i] = emulation::Cut(total);
  }
  emulation::WaitForWarp();
}

inline float exp2_approximate(float x) { return x < -126 ? 0.0f : std::exp2(x); }

}  // namespace ballast::cuda
