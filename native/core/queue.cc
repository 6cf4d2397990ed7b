#include "native/core/queue.h"

#include <algorithm>
#include <utility>

#include "native/core/start_thread.h"

namespace ballast {

Queue::Queue() : thread_(StartThread([this] { Run(); })) {}

Queue::~Queue() {
  cancel_.Cancel();
  std::deque<std::function<void()>> dropped;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(tasks_);
  }
  queued_.notify_all();
  reached_.notify_all();
  thread_.join();
}

std::uint64_t Queue::Enqueue(std::function<void()> task) {
  std::uint64_t ticket;
  {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    ticket = ++enqueued_;
  }
  queued_.notify_one();
  return ticket;
}

void Queue::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    queued_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (stopping_) return;
    std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    const bool skip = error_ != nullptr;
    lock.unlock();
    std::exception_ptr error;
    if (!skip) {
      try {
        cancel_.ThrowIfCancelled();
        task();
      } catch (...) {
        error = std::current_exception();
      }
    }
    // Operands are released here, before the ticket counts as finished: a waiter sees the memory
    // freed.
    task = nullptr;
    lock.lock();
    if (error && !error_) error_ = error;
    ++finished_;
    if (finished_ >= awaited_) {
      awaited_ = kNone;
      reached_.notify_all();
    }
  }
}

void Queue::WaitUntil(std::unique_lock<std::mutex>& lock, std::uint64_t ticket) {
  while (!stopping_ && finished_ < ticket) {
    awaited_ = std::min(awaited_, ticket);
    reached_.wait(lock);
  }
}

void Queue::Wait(std::uint64_t ticket) {
  std::unique_lock lock(mutex_);
  WaitUntil(lock, ticket);
  if (stopping_) throw Error(ErrorCode::kAborted, "The device was closed.");
  if (cancel_.cancelled()) {
    // Cancelled tasks end at once; when the last has, the next user of the queue starts clean.
    while (!stopping_ && finished_ < enqueued_) WaitUntil(lock, enqueued_);
    error_ = nullptr;
    cancel_.Reset();
    throw Error(ErrorCode::kAborted, "The operation was aborted.");
  }
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void Queue::Cancel() { cancel_.Cancel(); }

}  // namespace ballast
