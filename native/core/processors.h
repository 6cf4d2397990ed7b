// How many threads the process can really run at once. std::thread::hardware_concurrency knows
// neither the process's affinity on every C library nor the CPU time that a container is granted:
// four processors' worth on a host of 128 would get 128 threads that wait for each other.
#pragma once

#include <filesystem>

namespace ballast {

// Processors of the process's affinity, and no more than its quota, rounded up; at least 1.
int AvailableProcessors();

// Processors' worth of time that control groups grant the process; infinite without a limit. They
// are looked for below `root`, in /proc and /sys.
double ProcessorQuota(const std::filesystem::path& root = "/");

}  // namespace ballast
