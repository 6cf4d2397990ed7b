#include "bulk_copy.h"

#include <vector>

#include "cluster.h"

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
  Block* block;  // where it arrives
  void* to;
  const void* from;
  unsigned bytes;
  std::uint64_t* barrier;
};

std::vector<BulkCopy> under_way;

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

// What lies there where this lies in the current block.
template <class T>
T* Counterpart(T* address, const Block& there) {
  if (!IsShared(address, sizeof *address)) Fail("an address outside the block's shared memory");
  const auto offset = reinterpret_cast<unsigned char*>(address) - shared_memory;
  return reinterpret_cast<T*>(there.shared + offset);
}

// The block of this rank, which the current one is about to address.
Block& Address(unsigned rank) {
  if (rank >= cluster.size()) Fail("a block that the cluster does not have");
  Block& there = cluster[rank];
  if (&there == home) return there;
  if (!there.open) Fail("another block is addressed before it has shown its barriers");
  if (there.running == 0) Fail("a block is addressed that has ended");
  there.addressed = true;
  return there;
}

State Load(const std::uint64_t* barrier) {
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

void Arrive(std::uint64_t* barrier, unsigned expected_bytes) {
  State state = Load(barrier);
  if (state.pending == 0) Fail("more threads arrive at a barrier than it expects");
  state.bytes += expected_bytes;
  --state.pending;
  Store(barrier, state);
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
  home->has_barriers = true;
  home->fenced_for_copies = home->fenced_for_cluster = home->open = false;
}

void FenceForCopies() { home->fenced_for_copies = true; }
void FenceForCluster() { home->fenced_for_cluster = true; }

unsigned ClusterRank() { return static_cast<unsigned>(home - cluster.data()); }

void OpenBlocks() {
  for (Block& one : cluster) {
    one.open = one.fenced_for_cluster;
    one.addressed = false;
  }
}

void EndBlock() {
  if (home->addressed) Fail("a block ended that others may still address");
  for (const BulkCopy& copy : under_way) {
    if (copy.block == home) Fail("a block ended with a bulk copy under way");
  }
}

void ArriveAt(std::uint64_t* barrier, unsigned expected_bytes) {
  Arrive(Counterpart(barrier, *home), expected_bytes);
}

void ArriveInBlock(std::uint64_t* barrier, unsigned rank) {
  Arrive(Counterpart(barrier, Address(rank)), 0);
}

void WaitForPhase(std::uint64_t* barrier, unsigned parity) {
  if (parity > 1) Fail("a parity that is not 0 or 1");
  barrier = Counterpart(barrier, *home);
  while (Load(barrier).parity == parity) Yield();
}

void CopyBulk(void* shared, const void* global, unsigned bytes, std::uint64_t* barrier) {
  CopyBulkToBlocks(shared, global, bytes, barrier, 1u << ClusterRank());
}

void CopyBulkToBlocks(void* shared, const void* global, unsigned bytes, std::uint64_t* barrier,
                      unsigned blocks) {
  const auto aligned = [](const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; };
  if (!aligned(shared) || !aligned(global) || bytes % 16 != 0) Fail("a misaligned bulk copy");
  if (!IsShared(shared, bytes)) Fail("a bulk copy outside the block's shared memory");
  for (unsigned rank = 0; blocks >> rank != 0; ++rank) {
    if ((blocks >> rank & 1) == 0) continue;
    Block& there = Address(rank);
    if (!there.fenced_for_copies) Fail("a bulk copy that may not see its barrier yet");
    void* to = Counterpart(static_cast<unsigned char*>(shared), there);
    const BulkCopy copy = {&there, to, global, bytes, Counterpart(barrier, there)};
    if (Draw() % 2 == 0) {
      Land(copy);
    } else {
      std::memset(to, 0xff, bytes);
      under_way.push_back(copy);
    }
  }
}

bool LandCopy() {
  if (under_way.empty()) return false;
  const auto chosen = under_way.begin() + Draw() % under_way.size();
  Land(*chosen);
  under_way.erase(chosen);
  return true;
}
}  // namespace emulation
