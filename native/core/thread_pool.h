// The process's compute threads. Several queues may call ParallelFor at once; each caller works on
// its own loop too, so a loop always advances even when every pool thread is busy elsewhere.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "native/core/cancel_token.h"

namespace ballast {

class ThreadPool {
 public:
  // `threads` counts the caller: 1 means everything runs on the calling thread.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(begin, end) over disjoint ranges that cover [0, count), each of at most `grain`
  // items, on any thread and in any order. Rethrows the first exception; throws kAborted between
  // ranges when `cancel` is set. May not be nested. Deterministic results need bodies whose outputs
  // do not depend on the partition.
  void ParallelFor(std::int64_t count, std::int64_t grain,
                   const std::function<void(std::int64_t, std::int64_t)>& body,
                   const CancelToken* cancel = nullptr);

 private:
  struct Loop;
  void Work();
  void Stop();
  static void Advance(Loop& loop);

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::list<std::shared_ptr<Loop>> loops_;
  std::atomic<std::size_t> waiting_loops_{0};  // loops_.size(), to be read without the mutex
  bool stopping_ = false;
};

}  // namespace ballast
