// Streams, events and memory as the emulated runtime (runtime.cc) sees them. A stream's work is
// done when somebody waits for it and no earlier, so whoever forgets to wait finds what was there
// before.
#pragma once

#include <mutex>

#include "emulation.h"

namespace emulation {

// Every function of the runtime holds it: streams take turns.
extern std::recursive_mutex runtime;

cudaStream_t NewStream(int device);
int DeviceOf(cudaStream_t stream);
// Does all that the stream has been given.
void Finish(cudaStream_t stream);

cudaEvent_t NewEvent();
void Delete(cudaEvent_t event);
void Record(cudaEvent_t event, cudaStream_t stream);
// Does what its stream had been given when the event was last recorded.
void Finish(cudaEvent_t event);
// The stream's later work comes behind that.
void Wait(cudaStream_t stream, cudaEvent_t event);

// Device memory, NaN from the moment that the stream comes to it, between guards that are looked at
// when it is released. Null where the device has not so much left.
constexpr std::size_t kDeviceBytes = std::size_t{256} << 20;
std::size_t FreeBytes(int device);
void* Allocate(std::size_t bytes, int device, cudaStream_t stream);
void Free(void* pointer, cudaStream_t stream);
// Fails unless all these bytes are memory of one device that has not been released; returns which.
int ExpectAllocated(const void* pointer, std::size_t bytes);

// Page-locked host memory: copies read and write it as late as any work. Other host memory has been
// read when a call returns.
void* AllocateHost(std::size_t bytes);
void FreeHost(void* pointer);
bool IsPinned(const void* pointer);

}  // namespace emulation
