#include "shm/region/memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace mallbots::shm {
namespace {

namespace ipc = boost::interprocess;

std::unexpected<Error> system_failure(ErrorCode code, const std::string& what) {
  return fail(code, what + ": " + std::strerror(errno));
}

ErrorCode code_of_errno() {
  return errno == ENOMEM || errno == EMFILE || errno == ENFILE ? ErrorCode::kMemoryFull
                                                               : ErrorCode::kIo;
}

/// Boost maps whatever has a mapping handle; this lends it our descriptor.
struct BorrowedFd {
  int fd;
  [[nodiscard]] ipc::mapping_handle_t get_mapping_handle() const noexcept {
    return ipc::ipcdetail::mapping_handle_from_file_handle(fd);
  }
  [[nodiscard]] ipc::mode_t get_mode() const noexcept { return ipc::read_write; }
};

}  // namespace

Result<Mapping> Mapping::of(int fd, std::size_t size_bytes, Access access) {
  struct stat info{};
  if (fstat(fd, &info) != 0) return system_failure(ErrorCode::kIo, "fstat of shared memory");
  if (info.st_size < 0 || static_cast<std::size_t>(info.st_size) < size_bytes)
    return fail(ErrorCode::kCorrupt, "shared memory of " + std::to_string(info.st_size) +
                                         " bytes is shorter than " + std::to_string(size_bytes));
  Mapping mapping;
  try {
    const auto mode = access == Access::kReadWrite ? ipc::read_write : ipc::read_only;
    mapping.region_ = ipc::mapped_region(BorrowedFd{fd}, mode, 0, size_bytes);
  } catch (const ipc::interprocess_exception& refused) {
    errno = refused.get_native_error();
    return system_failure(code_of_errno(), "mmap of " + std::to_string(size_bytes) + " bytes");
  }
  mapping.access_ = access;
  if (madvise(mapping.data(), size_bytes, MADV_DONTFORK) != 0 ||
      madvise(mapping.data(), size_bytes, MADV_DONTDUMP) != 0)
    return system_failure(ErrorCode::kUnsupported, "madvise DONTFORK, DONTDUMP");
  return mapping;
}

Result<void> Mapping::populate(std::size_t offset_bytes, std::size_t size_bytes) const {
  const int advice = access_ == Access::kReadWrite ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
  int outcome = 0;
  do {
    outcome = madvise(data() + offset_bytes, size_bytes, advice);
  } while (outcome != 0 && errno == EINTR);
  if (outcome != 0)
    return system_failure(ErrorCode::kMemoryFull,
                          "populating " + std::to_string(size_bytes) + " bytes");
  return {};
}

Result<UniqueFd> create_memory(const std::string& name, std::size_t size_bytes) {
  UniqueFd fd{memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (!fd) return system_failure(code_of_errno(), "memfd_create " + name);
  if (fchmod(fd.get(), 0600) != 0) return system_failure(ErrorCode::kIo, "fchmod of " + name);
  if (ftruncate(fd.get(), static_cast<off_t>(size_bytes)) != 0)
    return system_failure(code_of_errno(), "ftruncate of " + name);
  if (fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return system_failure(ErrorCode::kIo, "sealing " + name);
  return fd;
}

Result<UniqueFd> reopen_read_only(int memory_fd) {
  const std::string path = "/proc/self/fd/" + std::to_string(memory_fd);
  UniqueFd fd{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd) return system_failure(ErrorCode::kIo, "re-opening " + path + " read-only");
  return fd;
}

Result<void> check_memory(int fd, std::size_t size_bytes) {
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0)
    return fail(ErrorCode::kCorrupt, "a passed descriptor is not sealed memory");
  struct stat info{};
  if (fstat(fd, &info) != 0) return system_failure(ErrorCode::kIo, "fstat of shared memory");
  if (info.st_size < 0 || static_cast<std::size_t>(info.st_size) < size_bytes)
    return fail(ErrorCode::kCorrupt, "passed memory is shorter than its header says");
  return {};
}

}  // namespace mallbots::shm
