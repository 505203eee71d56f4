#include "broker/io/folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string_view>
#include <thread>

#include "broker/io/disk.h"
#include "shm/base/crash_point.h"

namespace mallbots::broker {

Result<FolderFacts> look_at_folder(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return FolderFacts{};
    return std::unexpected(file_error("stat", path, errno));
  }
  return FolderFacts{.exists = true,
                     .is_folder = S_ISDIR(info.st_mode),
                     .owner = info.st_uid,
                     .mode = info.st_mode & 07777};
}

uid_t own_user() noexcept { return ::geteuid(); }

namespace {

std::string owner_of(int fd) {
  char text[32] = {};
  const ssize_t n = ::pread(fd, text, sizeof(text) - 1, 0);
  std::string_view pid(text, n > 0 ? static_cast<std::size_t>(n) : 0);
  pid = pid.substr(0, pid.find('\n'));
  return pid.empty() ? "unknown" : std::string(pid);
}

}  // namespace

Result<shm::UniqueFd> lock_file(const std::string& path, Deadline deadline) {
  CRASH_POINT("io.lock.open");
  shm::UniqueFd fd{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  if (!fd) return std::unexpected(file_error("open", path, errno));
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return std::unexpected(file_error("flock", path, errno));
    }
    if (deadline.has_passed()) {
      return fail(ErrorCode::kInUse, path + " is locked by process " + owner_of(fd.get()));
    }
    // sleep: flock has no deadline of its own; the other broker drains for seconds.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  CRASH_POINT("io.lock.truncate");
  if (::ftruncate(fd.get(), 0) != 0) return std::unexpected(file_error("ftruncate", path, errno));
  CRASH_POINT("io.lock.write");
  if (::pwrite(fd.get(), pid.data(), pid.size(), 0) < 0) {
    // The pid is for people; the lock itself holds, also on a full disk.
  }
  return fd;
}

std::uint64_t random_id() {
  std::uint64_t id = 0;
  while (id == 0) {
    if (::getrandom(&id, sizeof(id), 0) != static_cast<ssize_t>(sizeof(id))) id = 0;
  }
  return id;
}

}  // namespace mallbots::broker
