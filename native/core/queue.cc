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
    const std::uint64_t ticket = finished_ + 1;
    const bool stopped = FailureOf(ticket) != nullptr;
    lock.unlock();
    std::exception_ptr error;
    if (!stopped) {
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
    if (error) failures_.push_back({.first = ticket, .last = kNone, .error = error});
    finished_ = ticket;
    if (finished_ >= awaited_) {
      awaited_ = kNone;
      reached_.notify_all();
    }
  }
}

Queue::Failure* Queue::FailureOf(std::uint64_t ticket) {
  for (auto failure = failures_.rbegin(); failure != failures_.rend(); ++failure) {
    if (failure->first <= ticket) return ticket <= failure->last ? &*failure : nullptr;
  }
  return nullptr;
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
  if (const Failure* failure = FailureOf(ticket)) std::rethrow_exception(failure->error);
}

void Queue::Resume(std::uint64_t ticket) {
  const std::lock_guard lock(mutex_);
  Failure* const failure = FailureOf(ticket);
  if (failure == nullptr || failure->last != kNone) return;
  failure->last = enqueued_;
  cancel_.Reset();
}

void Queue::Cancel() { cancel_.Cancel(); }

}  // namespace ballast
