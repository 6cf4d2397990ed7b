// One thread that runs tasks in the order they came. The first error stops everything behind it
// until somebody waits and is told; then the queue is usable again.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "native/core/cancel_token.h"

namespace ballast {

class Queue {
 public:
  Queue();
  // Cancels what is under way, drops what waits and joins the thread.
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // Returns the task's ticket for Wait.
  std::uint64_t Enqueue(std::function<void()> task);
  // Blocks until the ticket's task has ended; throws the queue's first error and clears it.
  void Wait(std::uint64_t ticket);
  // Everything not yet finished ends with Error{kAborted}, which the next Wait throws.
  void Cancel();
  const CancelToken& cancel_token() const { return cancel_; }

 private:
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};

  void Run();
  // Returns when the ticket's task has ended, or the queue is stopping.
  void WaitUntil(std::unique_lock<std::mutex>& lock, std::uint64_t ticket);

  CancelToken cancel_;
  std::mutex mutex_;
  std::condition_variable queued_;
  // A task that somebody waits for has ended: waking them after each would take a core from work.
  std::condition_variable reached_;
  std::deque<std::function<void()>> tasks_;
  std::uint64_t enqueued_ = 0;
  std::uint64_t finished_ = 0;
  std::uint64_t awaited_ = kNone;  // the first ticket that somebody waits for
  std::exception_ptr error_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace ballast
