#include "broker/folders.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "broker/units.h"
#include "shm/base/crash_point.h"

namespace mallbots::broker {
namespace {

constexpr mode_t kRuntimeMode = 0711;
constexpr std::size_t kSocketPathBytes = 107;  // unix(7): sun_path without its end

std::unexpected<Error> refused(const char* call, const std::string& path) {
  const ErrorCode code =
      errno == EACCES || errno == EPERM ? ErrorCode::kNotPermitted : ErrorCode::kIo;
  return fail(code, fmt::format("{} {}: {}", call, path, std::strerror(errno)));
}

Result<void> check_owner(const std::string& path, int fd) {
  struct stat info{};
  if (fstat(fd, &info) != 0) return refused("fstat", path);
  if (info.st_uid != geteuid())
    return fail(ErrorCode::kWrongOwner, fmt::format("{} belongs to user {}, this is user {}", path,
                                                    info.st_uid, geteuid()));
  if ((info.st_mode & 022) != 0)
    return fail(ErrorCode::kWrongOwner,
                fmt::format("{} has mode {:04o}, others may write there", path,
                            static_cast<unsigned>(info.st_mode) & 07777U));
  return {};
}

/// The lock file's own text: the pid of who has it.
std::string holder_of(int fd) {
  char text[32] = {};
  const ssize_t got = ::pread(fd, text, sizeof text - 1, 0);
  std::string pid{text, got > 0 ? static_cast<std::size_t>(got) : 0};
  while (!pid.empty() && pid.back() == '\n') pid.pop_back();
  return parse_number(pid) ? pid : "unknown";
}

Result<void> take_lock(RuntimeFolder& folder) {
  const std::string path = folder.path + "/lock";
  CRASH_POINT("folders.lock");
  folder.lock =
      shm::UniqueFd{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (!folder.lock) return refused("open", path);
  if (flock(folder.lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return refused("flock", path);
    return fail(ErrorCode::kInUse, fmt::format("runtime directory {}: process {} has it",
                                               folder.path, holder_of(folder.lock.get())));
  }
  folder.inherited = holder_of(folder.lock.get()) != "unknown";
  const std::string pid = std::to_string(getpid()) + "\n";
  CRASH_POINT("folders.lock-pid");
  if (::ftruncate(folder.lock.get(), 0) != 0 ||
      ::pwrite(folder.lock.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
    return refused("write", path);
  return {};
}

}  // namespace

Result<void> make_parents(const std::string& path) {
  for (std::size_t end = path.find('/', 1); end != std::string::npos;
       end = path.find('/', end + 1)) {
    const std::string parent = path.substr(0, end);
    if (::mkdir(parent.c_str(), 0755) != 0 && errno != EEXIST) return refused("mkdir", parent);
  }
  return {};
}

Result<RuntimeFolder> open_runtime_folder(const std::string& path) {
  RuntimeFolder folder{.path = path, .lock = {}};
  if (folder.socket_path().size() > kSocketPathBytes)
    return fail(ErrorCode::kBadConfig,
                fmt::format("runtime directory {} is too long for a socket: at most {} bytes with "
                            "/control.sock",
                            path, kSocketPathBytes));
  MALLBOTS_TRY(make_parents(path));
  const bool made = ::mkdir(path.c_str(), kRuntimeMode) == 0;
  if (!made && errno != EEXIST) return refused("mkdir", path);
  const shm::UniqueFd fd{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!fd) return refused("open", path);
  if (made && fchmod(fd.get(), kRuntimeMode) != 0) return refused("chmod", path);  // the umask
  MALLBOTS_TRY(check_owner(path, fd.get()));
  MALLBOTS_TRY(take_lock(folder));
  return folder;
}

Result<void> remove_stale_socket(const std::string& path) {
  CRASH_POINT("folders.unlink-socket");
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return refused("unlink", path);
  return {};
}

Result<std::string> read_text_file(const std::string& path, std::size_t limit_bytes) {
  const shm::UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd) return refused("open", path);
  std::string text(limit_bytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return refused("read", path);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > limit_bytes)
    return fail(ErrorCode::kBadConfig,
                fmt::format("{} is longer than {} bytes", path, limit_bytes));
  text.resize(size);
  return text;
}

}  // namespace mallbots::broker
