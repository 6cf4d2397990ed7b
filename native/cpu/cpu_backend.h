// The backend that runs everywhere: host memory, our thread pool, the instruction set chosen at run
// time.
#pragma once

#include <memory>

#include "native/backend/backend.h"
#include "native/core/thread_pool.h"

namespace ballast::cpu {

// The pool outlives the backend. Throws Error{kUnsupported} as ActiveInstructionSet does.
std::unique_ptr<Backend> CreateCpuBackend(ThreadPool& pool);

}  // namespace ballast::cpu
