#include "native/core/queue.h"

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
  changed_.notify_all();
  thread_.join();
}

std::uint64_t Queue::Enqueue(std::function<void()> task) {
  std::uint64_t ticket;
  {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    ticket = ++enqueued_;
  }
  changed_.notify_all();
  return ticket;
}

void Queue::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
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
    changed_.notify_all();
  }
}

void Queue::Wait(std::uint64_t ticket) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stopping_ || finished_ >= ticket; });
  if (stopping_) throw Error(ErrorCode::kAborted, "The device was closed.");
  if (cancel_.cancelled()) {
    // Cancelled tasks end at once; when the last has, the next user of the queue starts clean.
    changed_.wait(lock, [this] { return stopping_ || finished_ == enqueued_; });
    error_ = nullptr;
    cancel_.Reset();
    throw Error(ErrorCode::kAborted, "The operation was aborted.");
  }
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void Queue::Cancel() { cancel_.Cancel(); }

}  // namespace ballast
