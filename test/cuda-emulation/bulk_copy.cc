#include "bulk_copy.h"

#include <vector>

#include "emulation.h"

namespace emulation {
namespace {

constexpr unsigned kValid = 0xb5;
constexpr std::int64_t kMostBytes = (1 << 20) - 1;

// What an mbarrier object holds; the manual leaves its bits open.
struct State {
  std::uint64_t valid : 8;
  std::uint64_t expected : 11;  // arrivals of each phase
  std::uint64_t pending : 11;
  std::uint64_t parity : 1;  // of the phase under way
  std::int64_t bytes : 33;   // announced and not there yet
};
static_assert(sizeof(State) == sizeof(std::uint64_t));

struct BulkCopy {
  void* to;
  const void* from;
  unsigned bytes;
  std::uint64_t* barrier;
};

std::vector<BulkCopy> under_way;
bool any_barriers, all_fenced;

// Numbers without a pattern, the same at every run.
unsigned Draw() {
  static std::uint32_t state = 1;
  state = state * 1664525u + 1013904223u;
  return state >> 16;
}

bool IsShared(const void* address, std::size_t bytes) {
  const auto* first = static_cast<const unsigned char*>(address);
  return first >= shared_memory && first + bytes <= shared_memory + shared_bytes;
}

State Load(const std::uint64_t* barrier) {
  if (!IsShared(barrier, sizeof *barrier)) Fail("a barrier outside the block's shared memory");
  State state;
  std::memcpy(&state, barrier, sizeof state);
  if (state.valid != kValid) Fail("a barrier that nobody has initialised");
  return state;
}

void Store(std::uint64_t* barrier, State state) {
  if (state.bytes > kMostBytes || state.bytes < -kMostBytes) Fail("a barrier expects too much");
  if (state.pending == 0 && state.bytes == 0) {
    state.pending = state.expected;
    state.parity ^= 1;
  }
  std::memcpy(barrier, &state, sizeof state);
  Progress();
}

void Land(const BulkCopy& copy) {
  std::memcpy(copy.to, copy.from, copy.bytes);
  State state = Load(copy.barrier);
  state.bytes -= copy.bytes;
  Store(copy.barrier, state);
}

}  // namespace

void InitBarrier(std::uint64_t* barrier, unsigned arrivals) {
  if (!IsShared(barrier, sizeof *barrier)) Fail("a barrier outside the block's shared memory");
  Store(barrier, {.valid = kValid, .expected = arrivals, .pending = arrivals});
  any_barriers = true;
  all_fenced = false;
}

void FenceForCopies() { all_fenced = true; }

void ArriveAt(std::uint64_t* barrier, unsigned expected_bytes) {
  State state = Load(barrier);
  if (state.pending == 0) Fail("more threads arrive at a barrier than it expects");
  state.bytes += expected_bytes;
  --state.pending;
  Store(barrier, state);
}

void WaitForPhase(std::uint64_t* barrier, unsigned parity) {
  if (parity > 1) Fail("a parity that is not 0 or 1");
  while (Load(barrier).parity == parity) Yield();
}

void CopyBulk(void* shared, const void* global, unsigned bytes, std::uint64_t* barrier) {
  const auto aligned = [](const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; };
  if (!aligned(shared) || !aligned(global) || bytes % 16 != 0) Fail("a misaligned bulk copy");
  if (!IsShared(shared, bytes)) Fail("a bulk copy outside the block's shared memory");
  if (!all_fenced) Fail("a bulk copy that may not see its barrier yet");
  if (Draw() % 2 == 0) return Land({shared, global, bytes, barrier});
  std::memset(shared, 0xff, bytes);
  under_way.push_back({shared, global, bytes, barrier});
}

bool LandCopy() {
  if (under_way.empty()) return false;
  const auto chosen = under_way.begin() + Draw() % under_way.size();
  Land(*chosen);
  under_way.erase(chosen);
  return true;
}

bool EndBulkCopies() {
  if (!under_way.empty()) Fail("a block ended with a bulk copy under way");
  return std::exchange(any_barriers, false);
}

}  // namespace emulation
