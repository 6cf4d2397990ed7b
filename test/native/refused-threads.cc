// Opens a pool of eight threads on a system that starts three and no more, and prints what it says;
// then one of three. refused-threads.test.ts compiles it.
#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstdio>

#include "native/core/error.h"
#include "native/core/thread_pool.h"

namespace {

std::atomic<int> started{0};

}  // namespace

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*body)(void*), void* argument) {
  static const auto create =
      reinterpret_cast<decltype(&pthread_create)>(dlsym(RTLD_NEXT, "pthread_create"));
  if (started.fetch_add(1) >= 3) return EAGAIN;
  return create(thread, attributes, body, argument);
}

int main() {
  try {
    ballast::ThreadPool pool(8);
  } catch (const ballast::Error& error) {
    std::printf("%s\n", error.what());
  }
  started = 0;
  ballast::ThreadPool pool(3);
  std::atomic<int> items{0};
  pool.ParallelFor(100, 1, [&](std::int64_t begin, std::int64_t end) {
    items += static_cast<int>(end - begin);
  });
  std::printf("%d\n", items.load());
}
