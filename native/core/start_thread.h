// Threads can be refused: a process has a limit of them, and each takes memory for its stack.
#pragma once

#include <system_error>
#include <thread>
#include <utility>

#include "native/core/error.h"

namespace ballast {

// Throws Error{kMemory}.
template <class Body>
std::thread StartThread(Body body) {
  try {
    return std::thread(std::move(body));
  } catch (const std::system_error& error) {
    throw Error(ErrorCode::kMemory, std::string("The system starts no further thread (") +
                                        error.code().message() +
                                        "); use fewer threads or raise the limit of processes.");
  }
}

}  // namespace ballast
