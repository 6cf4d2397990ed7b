// Fibers and their barriers. Fibers take turns forwards and backwards, so that code which relies on
// an order between barriers fails. Shared memory starts as NaN.
#include "emulation.h"

#include <array>
#include <cstdio>
#include <cstdlib>

#include "bulk_copy.h"

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

namespace {

constexpr std::size_t kStackBytes = 96 << 10;
constexpr std::size_t kMostShared = 227 << 10;  // what compute capability 9.0 gives a block
constexpr std::size_t kEveryShared = 99 << 10;  // and 8.6, which has no bulk copies
constexpr int kMostThreads = 1024;
constexpr int kSavedRegisters = 6;

struct Barrier {
  int members = 0;
  int arrived = 0;
  long round = 0;
};

const std::function<void()>* running;
void* scheduler;
std::vector<Fiber> fibers;
std::vector<char*> stacks;
std::vector<std::array<std::uint32_t, 16>> mailboxes;
Barrier all;
std::vector<Barrier> warpgroups;
std::vector<Barrier> warps;
long steps;  // grows whenever a fiber gets on

void Arrive(Barrier& barrier) {
  ++steps;
  const long round = barrier.round;
  if (++barrier.arrived == barrier.members) {
    barrier.arrived = 0;
    ++barrier.round;
    return;
  }
  while (barrier.round == round) Yield();
}

void Run() {
  (*running)();
  current->done = true;
  ++steps;
  // A barrier of the block waits for threads that are still there; one of a warp for all.
  if (--all.members > 0 && all.arrived == all.members) {
    all.arrived = 0;
    ++all.round;
  }
  if (warps[current->number / 32].arrived > 0) Fail("a thread ended while its warp waits for it");
  if (!current->sums.empty()) Fail("a thread ended with products under way");
  Yield();
  std::abort();
}

void Prepare(int threads) {
  while (static_cast<int>(stacks.size()) < threads) {
    stacks.push_back(static_cast<char*>(std::aligned_alloc(64, kStackBytes)));
  }
  fibers.assign(threads, {});
  mailboxes.resize((threads + 31) / 32 * 32);
  all = {threads, 0, 0};
  warpgroups.assign((threads + 127) / 128, {128, 0, 0});
  warps.assign((threads + 31) / 32, {32, 0, 0});
  for (int i = 0; i < threads; ++i) {
    const unsigned x = i % block.x, rest = i / block.x;
    fibers[i].index = {x, rest % block.y, rest / block.y};
    fibers[i].number = i;
    auto** top = reinterpret_cast<void**>(stacks[i] + kStackBytes - 64);
    *--top = nullptr;  // keeps the stack aligned as after a call
    *--top = reinterpret_cast<void*>(Run);
    for (int r = 0; r < kSavedRegisters; ++r) *--top = nullptr;
    fibers[i].stack = top;
  }
}

void RunBlock(int threads) {
  static bool backwards = false;
  Prepare(threads);
  for (int left = threads; left > 0;) {
    const long before = steps;
    left = 0;
    backwards = !backwards;
    for (int k = 0; k < threads; ++k) {
      current = &fibers[backwards ? threads - 1 - k : k];
      if (current->done) continue;
      emulation_switch(&scheduler, current->stack);
      left += !current->done;
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

void* MailboxOf(int thread) { return mailboxes[thread].data(); }

void WaitForBlock() { Arrive(all); }
void WaitForWarpgroup() { Arrive(warpgroups[current->number / 128]); }
void WaitForWarp() { Arrive(warps[current->number / 32]); }

void RunKernel(const Config& config, const std::function<void()>& kernel) {
  const int threads = static_cast<int>(config.block.x * config.block.y * config.block.z);
  if (config.grid.x * config.grid.y * config.grid.z == 0) Fail("a launch of no block");
  if (config.grid.y > 65535 || config.grid.z > 65535) Fail("a grid that is too high");
  if (threads > kMostThreads || threads % 32 != 0) Fail("a block that is not 1 to 32 whole warps");
  if (config.shared_bytes > kMostShared) Fail("more shared memory than any GPU has");
  grid = config.grid;
  block = config.block;
  running = &kernel;
  static std::vector<std::uint64_t> storage(kMostShared / 8 + 16);
  shared_bytes = config.shared_bytes;
  shared_memory = reinterpret_cast<unsigned char*>(
      (reinterpret_cast<std::uintptr_t>(storage.data()) + 127) / 128 * 128);
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        block_index = {x, y, z};
        std::memset(shared_memory, 0xff, config.shared_bytes);
        RunBlock(threads);
        if (!EndBulkCopies() && shared_bytes > kEveryShared) {
          Fail("more shared memory than every GPU has");
        }
      }
    }
  }
}

}  // namespace emulation
