#include "native/core/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <exception>

#include "native/core/start_thread.h"

namespace ballast {
namespace {

// One loop often follows another within microseconds, and the parts of one end together: looking
// out for that is quicker than to sleep and be woken.
template <class Condition>
void WaitBriefly(Condition condition) {
  constexpr auto kBriefly = std::chrono::microseconds(50);
  const auto end = std::chrono::steady_clock::now() + kBriefly;
  while (!condition() && std::chrono::steady_clock::now() < end) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
}

}  // namespace

struct ThreadPool::Loop {
  std::int64_t count;
  std::int64_t grain;
  const std::function<void(std::int64_t, std::int64_t)>* body;
  const CancelToken* cancel;
  std::atomic<std::int64_t> next{0};
  std::atomic<int> active{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::condition_variable done;
  std::exception_ptr error;
};

ThreadPool::ThreadPool(int threads) {
  try {
    for (int i = 1; i < threads; ++i) workers_.push_back(StartThread([this] { Work(); }));
  } catch (...) {
    Stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { Stop(); }

void ThreadPool::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Advance(Loop& loop) {
  try {
    while (!loop.failed.load(std::memory_order_relaxed)) {
      const std::int64_t begin = loop.next.fetch_add(loop.grain);
      if (begin >= loop.count) break;
      if (loop.cancel != nullptr) loop.cancel->ThrowIfCancelled();
      (*loop.body)(begin, std::min(begin + loop.grain, loop.count));
    }
  } catch (...) {
    std::lock_guard lock(loop.mutex);
    if (!loop.error) loop.error = std::current_exception();
    loop.failed.store(true);
  }
}

void ThreadPool::Work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!stopping_ && loops_.empty()) {
      lock.unlock();
      WaitBriefly([this] { return waiting_loops_.load(std::memory_order_relaxed) > 0; });
      lock.lock();
    }
    wake_.wait(lock, [this] { return stopping_ || !loops_.empty(); });
    if (stopping_) return;
    // Taking the loop's share is counted under the pool's mutex, so that its caller cannot miss us.
    const std::shared_ptr<Loop> loop = loops_.front();
    if (loop->next.load() >= loop->count || loop->failed.load()) {
      loops_.pop_front();
      waiting_loops_ = loops_.size();
      continue;
    }
    loop->active.fetch_add(1);
    // Round robin: the next free thread helps another caller first.
    loops_.splice(loops_.end(), loops_, loops_.begin());
    lock.unlock();
    Advance(*loop);
    {
      std::lock_guard done_lock(loop->mutex);
      loop->active.fetch_sub(1);
    }
    loop->done.notify_all();
    lock.lock();
  }
}

void ThreadPool::ParallelFor(std::int64_t count, std::int64_t grain,
                             const std::function<void(std::int64_t, std::int64_t)>& body,
                             const CancelToken* cancel) {
  if (count <= 0) return;
  const auto loop = std::make_shared<Loop>();
  loop->count = count;
  loop->grain = std::max<std::int64_t>(grain, 1);
  loop->body = &body;
  loop->cancel = cancel;
  const bool shared = !workers_.empty() && count > loop->grain;
  if (shared) {
    {
      std::lock_guard lock(mutex_);
      loops_.push_back(loop);
      waiting_loops_ = loops_.size();
    }
    wake_.notify_all();
  }
  Advance(*loop);
  if (shared) {
    {
      std::lock_guard lock(mutex_);
      loops_.remove(loop);
      waiting_loops_ = loops_.size();
    }
    WaitBriefly([&] { return loop->active.load() == 0; });
    std::unique_lock lock(loop->mutex);
    loop->done.wait(lock, [&] { return loop->active.load() == 0; });
  }
  if (loop->error) std::rethrow_exception(loop->error);
}

}  // namespace ballast
