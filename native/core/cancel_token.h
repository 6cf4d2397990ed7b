// Set from any thread, read between chunks of work. Cancelling is sticky until the queue that owns
// the token has reported it.
#pragma once

#include <atomic>

#include "native/core/error.h"

namespace ballast {

class CancelToken {
 public:
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  void Reset() { cancelled_.store(false, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
  void ThrowIfCancelled() const {
    if (cancelled()) throw Error(ErrorCode::kAborted, "The operation was aborted.");
  }

 private:
  std::atomic<bool> cancelled_{false};
};

}  // namespace ballast
