// One thread that runs tasks in the order they came. An error stops everything behind it until the
// caller has heard of it: all that was queued in the hope that it would work, however many wait for
// it, ends with that error, and what is queued afterwards runs again.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

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
  // Blocks until the ticket's task has ended; throws the error that stopped it.
  void Wait(std::uint64_t ticket);
  // The caller has heard of the error that stopped the ticket's task.
  void Resume(std::uint64_t ticket);
  // Everything not yet finished, or else what is queued next, ends with Error{kAborted}.
  void Cancel();
  const CancelToken& cancel_token() const { return cancel_; }

 private:
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};

  // What stopped the tasks from a ticket to another.
  struct Failure {
    std::uint64_t first;
    std::uint64_t last;  // kNone as long as the caller has not heard of it
    std::exception_ptr error;
  };

  void Run();
  // Null where nothing stopped the ticket's task.
  Failure* FailureOf(std::uint64_t ticket);
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
  std::vector<Failure> failures_;  // all: somebody may come late to wait, and errors are few
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace ballast
