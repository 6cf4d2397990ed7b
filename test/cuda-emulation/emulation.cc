// Fibers and their barriers. Fibers take turns forwards and backwards, so that code which relies on
// an order between barriers fails, and a block of a cluster runs as far ahead of the others as it
// can. Shared memory starts as NaN.
#include "emulation.h"

#include <cstdio>
#include <cstdlib>

#include "bulk_copy.h"
#include "cluster.h"

// Saves the callee's registers on the stack, exchanges stacks, restores. x86-64, System V.
extern "C" void emulation_switch(void** save, void* load);
asm(R"(
.text
.globl emulation_switch
emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");

namespace emulation {

Fiber* current;
dim3 grid;
dim3 block;
uint3 block_index;
unsigned char* shared_memory;
std::size_t shared_bytes;
std::vector<Block> cluster;
Block* home;

namespace {

constexpr std::size_t kStackBytes = 96 << 10;
constexpr std::size_t kMostShared = 227 << 10;  // what compute capability 9.0 gives a block
constexpr std::size_t kEveryShared = 99 << 10;  // and 8.6, which has no bulk copies
constexpr int kMostThreads = 1024;
constexpr unsigned kMostBlocks = 8;  // of a cluster, on every GPU that has clusters
constexpr int kSavedRegisters = 6;

const std::function<void()>* running;
void* scheduler;
std::vector<char*> stacks;
Meeting everyone;  // all threads of the cluster
long steps;        // grows whenever a fiber gets on

void Release(Meeting& meeting) {
  meeting.arrived = 0;
  ++meeting.round;
  if (&meeting == &everyone) OpenBlocks();
}

void Arrive(Meeting& meeting) {
  ++steps;
  const long round = meeting.round;
  if (++meeting.arrived == meeting.members) return Release(meeting);
  while (meeting.round == round) Yield();
}

void Leave(Meeting& meeting) {
  if (--meeting.members > 0 && meeting.arrived == meeting.members) Release(meeting);
}

void Run() {
  (*running)();
  current->done = true;
  ++steps;
  // Block and cluster wait for threads that are still there, a warp for all.
  Leave(home->all);
  Leave(everyone);
  if (home->warps[current->number / 32].arrived > 0) {
    Fail("a thread ended while its warp waits for it");
  }
  if (!current->sums.empty()) Fail("a thread ended with products under way");
  if (--home->running == 0) EndBlock();
  Yield();
  std::abort();
}

unsigned char* SharedOf(std::size_t rank) {
  static std::vector<std::uint64_t> storage[kMostBlocks];
  storage[rank].resize(kMostShared / 8 + 16);
  const auto begin = reinterpret_cast<std::uintptr_t>(storage[rank].data());
  return reinterpret_cast<unsigned char*>((begin + 127) / 128 * 128);
}

void Prepare(int threads, std::size_t rank, uint3 index) {
  while (stacks.size() < threads * (rank + 1)) {
    stacks.push_back(static_cast<char*>(std::aligned_alloc(64, kStackBytes)));
  }
  Block& own = cluster[rank];
  own = {.index = index, .shared = SharedOf(rank), .running = threads};
  std::memset(own.shared, 0xff, shared_bytes);
  own.fibers.resize(threads);
  own.mailboxes.resize((threads + 31) / 32 * 32);
  own.all = {threads, 0, 0};
  own.warpgroups.assign((threads + 127) / 128, {128, 0, 0});
  own.warps.assign((threads + 31) / 32, {32, 0, 0});
  for (int i = 0; i < threads; ++i) {
    const unsigned x = i % block.x, rest = i / block.x;
    own.fibers[i].index = {x, rest % block.y, rest / block.y};
    own.fibers[i].number = i;
    auto** top = reinterpret_cast<void**>(stacks[rank * threads + i] + kStackBytes - 64);
    *--top = nullptr;  // keeps the stack aligned as after a call
    *--top = reinterpret_cast<void*>(Run);
    for (int r = 0; r < kSavedRegisters; ++r) *--top = nullptr;
    own.fibers[i].stack = top;
  }
}

// Each of a block's threads once, as far as it comes alone.
void TakeTurns(Block& own) {
  static bool backwards = false;
  backwards = !backwards;
  home = &own;
  block_index = own.index;
  shared_memory = own.shared;
  const auto threads = static_cast<int>(own.fibers.size());
  for (int k = 0; k < threads; ++k) {
    current = &own.fibers[backwards ? threads - 1 - k : k];
    if (!current->done) emulation_switch(&scheduler, current->stack);
  }
}

void RunCluster() {
  static bool backwards = false;
  const auto blocks = static_cast<int>(cluster.size());
  for (int left = blocks; left > 0;) {
    const long before = steps;
    left = 0;
    backwards = !backwards;
    for (int k = 0; k < blocks; ++k) {
      Block& own = cluster[backwards ? blocks - 1 - k : k];
      for (long last = -1; own.running > 0 && last != steps;) {
        last = steps;
        TakeTurns(own);
      }
      left += own.running > 0;
    }
    if (left > 0 && steps == before && !LandCopy()) Fail("threads wait for each other for ever");
  }
}

}  // namespace

void Fail(const char* what) {
  std::fprintf(stderr, "CUDA emulation: %s.\n", what);
  std::abort();
}

void Yield() { emulation_switch(&current->stack, scheduler); }
void Progress() { ++steps; }

void* MailboxOf(int thread) { return home->mailboxes[thread].data(); }

void WaitForCluster() { Arrive(everyone); }
void WaitForBlock() { Arrive(home->all); }
void WaitForWarpgroup() { Arrive(home->warpgroups[current->number / 128]); }
void WaitForWarp() { Arrive(home->warps[current->number / 32]); }

void RunKernel(const Config& config, const std::function<void()>& kernel) {
  const int threads = static_cast<int>(config.block.x * config.block.y * config.block.z);
  if (config.grid.x * config.grid.y * config.grid.z == 0) Fail("a launch of no block");
  if (config.grid.y > 65535 || config.grid.z > 65535) Fail("a grid that is too high");
  if (threads > kMostThreads || threads % 32 != 0) Fail("a block that is not 1 to 32 whole warps");
  if (config.shared_bytes > kMostShared) Fail("more shared memory than any GPU has");
  if (config.cluster > kMostBlocks) Fail("a cluster that is too large");
  if (config.grid.x % config.cluster != 0) Fail("a grid that is not made of whole clusters");
  grid = config.grid;
  block = config.block;
  running = &kernel;
  shared_bytes = config.shared_bytes;
  cluster.resize(config.cluster);
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; x += config.cluster) {
        everyone = {static_cast<int>(config.cluster) * threads, 0, 0};
        for (unsigned rank = 0; rank < config.cluster; ++rank) {
          Prepare(threads, rank, {x + rank, y, z});
        }
        RunCluster();
        if (!cluster[0].has_barriers && shared_bytes > kEveryShared) {
          Fail("more shared memory than every GPU has");
        }
      }
    }
  }
}

}  // namespace emulation
