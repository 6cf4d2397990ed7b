#include "native/core/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "native/core/error.h"

namespace ballast {
namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

Error IoError(const std::string& action, const std::string& path) {
  return Error(ErrorCode::kIo, "Cannot " + action + " " + path + ": " + std::strerror(errno) + ".");
}

}  // namespace

std::shared_ptr<MappedFile> MappedFile::Open(const std::string& path, std::uint64_t offset,
                                             std::size_t bytes) {
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) throw IoError("open", path);
  struct stat status {};
  if (fstat(file.fd, &status) != 0) throw IoError("read the size of", path);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (offset > size || bytes > size - offset) {
    throw Error(ErrorCode::kIo, path + " ends at byte " + std::to_string(size) + " but bytes " +
                                    std::to_string(offset) + " to " +
                                    std::to_string(offset + bytes) +
                                    " were asked for; the file is truncated.");
  }
  std::shared_ptr<MappedFile> mapped(new MappedFile());
  if (bytes == 0) return mapped;
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  const std::uint64_t begin = offset / page * page;
  mapped->mapping_bytes_ = static_cast<std::size_t>(offset - begin) + bytes;
  void* mapping = mmap(nullptr, mapped->mapping_bytes_, PROT_READ, MAP_SHARED, file.fd,
                       static_cast<off_t>(begin));
  if (mapping == MAP_FAILED) throw IoError("map", path);
  mapped->mapping_ = mapping;
  mapped->data_ = static_cast<std::byte*>(mapping) + (offset - begin);
  // The system begins to read: whoever maps a file uses it soon, and what it has read by then stays
  // in its cache even if the mapping is gone.
  madvise(mapping, mapped->mapping_bytes_, MADV_WILLNEED);
  return mapped;
}

MappedFile::~MappedFile() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_bytes_);
}

}  // namespace ballast
