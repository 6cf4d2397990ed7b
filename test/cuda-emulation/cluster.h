// The blocks that run together: one, or those of a cluster, which reach each other's shared memory.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "emulation.h"

namespace emulation {

// Threads that wait until all of them are there.
struct Meeting {
  int members = 0;
  int arrived = 0;
  long round = 0;
};

struct Block {
  uint3 index;
  unsigned char* shared;
  int running;  // threads that have not ended
  std::vector<Fiber> fibers;
  std::vector<std::array<std::uint32_t, 16>> mailboxes;
  Meeting all;
  std::vector<Meeting> warpgroups;
  std::vector<Meeting> warps;
  // Of its barriers in shared memory (bulk_copy.cc).
  bool has_barriers;
  bool fenced_for_copies;
  bool fenced_for_cluster;
  bool open;       // the other blocks know of them
  bool addressed;  // by another block, since the cluster last met
};

extern std::vector<Block> cluster;
extern Block* home;  // of the current thread

// When all threads of the cluster have met.
void OpenBlocks();
// When a block's last thread has ended.
void EndBlock();

}  // namespace emulation
