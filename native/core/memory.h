// Where storage comes from. The backends are the only implementations; storage knows no more of
// them.
#pragma once

#include <cstddef>
#include <optional>

namespace ballast {

class Memory {
 public:
  virtual ~Memory() = default;
  // 64-byte aligned; throws Error{kMemory}.
  virtual std::byte* Allocate(std::size_t bytes) = 0;
  virtual void Free(std::byte* pointer) = 0;
  // True where it is the host's: uploads may borrow it, and it is what JavaScript's collector
  // saves.
  virtual bool SharesHostMemory() const = 0;
  // What could be allocated now; nothing where the memory is the host's, whose system knows. On any
  // thread.
  virtual std::optional<std::size_t> AvailableBytes() = 0;
};

}  // namespace ballast
