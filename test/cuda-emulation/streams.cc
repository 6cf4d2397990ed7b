// Work in order within a stream, and as late as it may be done.
#include "streams.h"

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>

namespace emulation {

std::recursive_mutex runtime;

namespace {

struct Stream {
  int device;
  std::deque<std::function<void()>> waiting;
  long given = 0;
  long begun = 0;
};

struct Event {
  Stream* stream = nullptr;
  long behind = 0;  // what the stream had been given
};

struct Block {
  std::size_t bytes;
  int device;
};

constexpr std::size_t kGuard = 512;
constexpr unsigned char kPattern = 0xff;
std::map<const unsigned char*, Block> blocks;
std::map<const unsigned char*, std::size_t> pinned;

Stream& Get(cudaStream_t stream) {
  if (stream == nullptr) Fail("work for the default stream");
  return *reinterpret_cast<Stream*>(stream);
}
Event& Get(cudaEvent_t event) { return *reinterpret_cast<Event*>(event); }

void RunTo(Stream& stream, long count) {
  while (stream.begun < count) {
    const std::function<void()> work = std::move(stream.waiting.front());
    stream.waiting.pop_front();
    ++stream.begun;
    work();
  }
}

bool Untouched(const unsigned char* from) {
  return std::all_of(from, from + kGuard, [](unsigned char byte) { return byte == kPattern; });
}

void Release(unsigned char* data) {
  const auto found = blocks.find(data);
  if (found == blocks.end()) Fail("memory was released that was not allocated");
  if (!Untouched(data - kGuard) || !Untouched(data + found->second.bytes)) {
    Fail("a kernel wrote outside its memory");
  }
  blocks.erase(found);
  std::free(data - kGuard);
}

// The last entry that begins at or before a pointer.
template <class Map>
typename Map::const_iterator Before(const Map& map, const void* pointer) {
  const auto next = map.upper_bound(static_cast<const unsigned char*>(pointer));
  return next == map.begin() ? map.end() : std::prev(next);
}

}  // namespace

void Enqueue(cudaStream_t stream, std::function<void()> work) {
  const std::lock_guard lock(runtime);
  Stream& own = Get(stream);
  own.waiting.push_back(std::move(work));
  ++own.given;
}

// Never deleted: other streams' work may still name it.
cudaStream_t NewStream(int device) { return reinterpret_cast<cudaStream_t>(new Stream{device}); }
int DeviceOf(cudaStream_t stream) { return Get(stream).device; }
void Finish(cudaStream_t stream) { RunTo(Get(stream), Get(stream).given); }

cudaEvent_t NewEvent() { return reinterpret_cast<cudaEvent_t>(new Event); }
void Delete(cudaEvent_t event) { delete &Get(event); }
void Record(cudaEvent_t event, cudaStream_t stream) {
  Get(event) = {&Get(stream), Get(stream).given};
}
void Finish(cudaEvent_t event) {
  const Event recorded = Get(event);
  if (recorded.stream != nullptr) RunTo(*recorded.stream, recorded.behind);
}
void Wait(cudaStream_t stream, cudaEvent_t event) {
  const Event recorded = Get(event);
  if (recorded.stream == nullptr) return;
  Enqueue(stream, [recorded] { RunTo(*recorded.stream, recorded.behind); });
}

std::size_t FreeBytes(int device) {
  std::size_t taken = 0;
  for (const auto& [data, block] : blocks) taken += block.device == device ? block.bytes : 0;
  return kDeviceBytes - taken;
}

void* Allocate(std::size_t bytes, int device, cudaStream_t stream) {
  if (bytes > FreeBytes(device)) return nullptr;
  const std::size_t whole = (bytes + 2 * kGuard + 255) / 256 * 256;
  auto* start = static_cast<unsigned char*>(std::aligned_alloc(256, whole));
  std::memset(start, kPattern, whole);
  unsigned char* data = start + kGuard;
  blocks[data] = {bytes, device};
  Enqueue(stream, [=] { std::memset(data, kPattern, bytes); });
  return data;
}

void Free(void* pointer, cudaStream_t stream) {
  Enqueue(stream, [=] { Release(static_cast<unsigned char*>(pointer)); });
}

int ExpectAllocated(const void* pointer, std::size_t bytes) {
  const auto found = Before(blocks, pointer);
  const auto* data = static_cast<const unsigned char*>(pointer);
  if (found == blocks.end() || data + bytes > found->first + found->second.bytes) {
    Fail("a copy reaches memory that is not allocated");
  }
  return found->second.device;
}

void* AllocateHost(std::size_t bytes) {
  void* pointer = std::malloc(bytes);
  pinned[static_cast<unsigned char*>(pointer)] = bytes;
  return pointer;
}
void FreeHost(void* pointer) {
  pinned.erase(static_cast<unsigned char*>(pointer));
  std::free(pointer);
}
bool IsPinned(const void* pointer) {
  const auto found = Before(pinned, pointer);
  return found != pinned.end() &&
         static_cast<const unsigned char*>(pointer) < found->first + found->second;
}

}  // namespace emulation
