// A read-only mapping of a byte range of a file, unmapped with its last holder. Only the range is
// mapped, so resident memory follows the tensors in use and not the checkpoint's size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace ballast {

class MappedFile {
 public:
  // Throws Error{kIo} when the file cannot be opened or is shorter than offset + bytes.
  static std::shared_ptr<MappedFile> Open(const std::string& path, std::uint64_t offset,
                                          std::size_t bytes);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::byte* data() const { return data_; }

 private:
  MappedFile() = default;

  void* mapping_ = nullptr;
  std::size_t mapping_bytes_ = 0;
  std::byte* data_ = nullptr;
};

}  // namespace ballast
