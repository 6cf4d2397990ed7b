// Source: sched_getaffinity(2), cgroups(7), the kernel's admin-guide/cgroup-v2 ("cpu.max") and
// scheduler/sched-bwc ("cpu.cfs_quota_us").
#include "native/core/processors.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <thread>

namespace ballast {
namespace {

namespace fs = std::filesystem;

constexpr double kUnlimited = std::numeric_limits<double>::infinity();

int AffinityProcessors() {
  // The kernel refuses a set that is smaller than its own, and does not say how large that is.
  for (int processors = 1024; processors <= 1 << 20; processors *= 2) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(
        CPU_ALLOC(processors), [](cpu_set_t* allocated) { CPU_FREE(allocated); });
    const std::size_t bytes = CPU_ALLOC_SIZE(processors);
    if (set != nullptr && sched_getaffinity(0, bytes, set.get()) == 0) {
      return CPU_COUNT_S(bytes, set.get());
    }
  }
  return static_cast<int>(std::thread::hardware_concurrency());
}

double Quota(double microseconds, double period) {
  return microseconds > 0 && period > 0 ? microseconds / period : kUnlimited;
}

// Version 2: "<microseconds> <period>", or "max <period>".
double QuotaV2(const fs::path& group) {
  double microseconds = 0, period = 0;
  std::ifstream(group / "cpu.max") >> microseconds >> period;
  return Quota(microseconds, period);
}

// Version 1: a file each; -1 microseconds where there is no limit.
double QuotaV1(const fs::path& group) {
  double microseconds = 0, period = 0;
  std::ifstream(group / "cpu.cfs_quota_us") >> microseconds;
  std::ifstream(group / "cpu.cfs_period_us") >> period;
  return Quota(microseconds, period);
}

// The least of a group's quota and those of the groups around it. A container may be told the
// host's path of its group and find the group itself where the groups begin: steps that are not
// there have no quota.
double LeastQuota(const fs::path& mount, const std::string& group,
                  double (*quota)(const fs::path&)) {
  fs::path path = mount;
  double least = quota(path);
  for (const fs::path& step : fs::path(group).relative_path()) {
    path /= step;
    least = std::min(least, quota(path));
  }
  return least;
}

}  // namespace

// Each line of /proc/self/cgroup is "<id>:<controllers>:<group>"; version 2 names no controllers.
double ProcessorQuota(const fs::path& root) {
  const fs::path mounts = root / "sys/fs/cgroup";
  std::ifstream groups(root / "proc/self/cgroup");
  double least = kUnlimited;
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      least = std::min(least, LeastQuota(mounts, group, QuotaV2));
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      least = std::min(least, LeastQuota(mounts / controllers, group, QuotaV1));
    }
  }
  return least;
}

int AvailableProcessors() {
  const int processors = std::max(1, AffinityProcessors());
  const double quota = ProcessorQuota();
  return quota < processors ? static_cast<int>(std::ceil(quota)) : processors;
}

}  // namespace ballast
