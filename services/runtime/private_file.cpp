#include "services/runtime/private_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <tuple>
#include <utility>

namespace mallbots {
namespace {

class File {
 public:
  File(const std::string& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }

 private:
  int fd_;
};

std::unexpected<Error> failed(const std::string& path, const char* what) {
  return fail(ErrorCode::kIo, fmt::format("{} {}: {}", what, path, std::strerror(errno)));
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

Result<void> write_all(int fd, const std::string& path, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(fd, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return failed(path, "write");
    bytes.remove_prefix(static_cast<std::size_t>(done));
  }
  return {};
}

}  // namespace

Result<std::string> PrivateFile::read() const {
  const File file(path_, O_RDONLY);
  if (!file.is_open()) {
    if (errno == ENOENT) return std::string();
    return failed(path_, "open");
  }
  struct stat about{};
  if (::fstat(file.fd(), &about) != 0) return failed(path_, "look at");
  if (about.st_uid != ::geteuid() || (about.st_mode & 077) != 0) {
    return fail(ErrorCode::kWrongOwner, fmt::format("{}: only its user may read it", path_));
  }
  std::string content;
  char piece[16 * 1024];
  while (content.size() <= kMaxBytes) {
    const ssize_t got = ::read(file.fd(), piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed(path_, "read");
    if (got == 0) return content;
    content.append(piece, static_cast<std::size_t>(got));
  }
  return fail(ErrorCode::kTooLarge, path_);
}

Result<void> PrivateFile::change(
    const std::function<Result<std::string>(const std::string& content)>& next) const {
  const std::string lock_path = path_ + ".lock";
  const File lock(lock_path, O_RDWR | O_CREAT);
  if (!lock.is_open()) return failed(lock_path, "open");
  while (::flock(lock.fd(), LOCK_EX) != 0) {
    if (errno != EINTR) return failed(lock_path, "lock");
  }
  auto content = read();
  if (!content) return std::unexpected(std::move(content).error());
  auto changed = next(*content);
  if (!changed) return std::unexpected(std::move(changed).error());
  if (*changed == *content) return {};
  return replace(*changed);
}

Result<void> PrivateFile::replace(const std::string& content) const {
  if (content.size() > kMaxBytes) return fail(ErrorCode::kTooLarge, path_);
  const std::string fresh = path_ + ".new";
  {
    // Left behind by somebody who died: it is ours to overwrite, we hold the lock.
    const File file(fresh, O_WRONLY | O_CREAT | O_TRUNC);
    if (!file.is_open()) return failed(fresh, "create");
    if (::fchmod(file.fd(), 0600) != 0) return failed(fresh, "protect");
    MALLBOTS_TRY(write_all(file.fd(), fresh, content));
    MALLBOTS_TRY(make_later(file.fd()));
    if (::fsync(file.fd()) != 0) return failed(fresh, "flush");
  }
  if (::rename(fresh.c_str(), path_.c_str()) != 0) return failed(path_, "replace");
  const File folder(folder_of(path_), O_RDONLY | O_DIRECTORY);
  if (!folder.is_open() || ::fsync(folder.fd()) != 0) return failed(path_, "flush the folder of");
  return {};
}

/// Later than the one it replaces: the clock of files stands still for some changes, and can be set
/// back, and numbers of nodes are used again.
Result<void> PrivateFile::make_later(int fd) const {
  struct stat before{};
  struct stat now{};
  if (::stat(path_.c_str(), &before) != 0) return {};
  if (::fstat(fd, &now) != 0) return failed(path_, "look at");
  const timespec& was = before.st_mtim;
  if (std::tie(now.st_mtim.tv_sec, now.st_mtim.tv_nsec) > std::tie(was.tv_sec, was.tv_nsec)) {
    return {};
  }
  const bool is_next_second = was.tv_nsec == 999'999'999;
  const timespec times[2] = {
      {0, UTIME_OMIT},
      {was.tv_sec + (is_next_second ? 1 : 0), is_next_second ? 0 : was.tv_nsec + 1}};
  if (::futimens(fd, times) != 0) return failed(path_, "set the time of");
  return {};
}

std::uint64_t PrivateFile::version() const noexcept {
  struct stat about{};
  if (::stat(path_.c_str(), &about) != 0) return 0;
  const auto stamp = static_cast<std::uint64_t>(about.st_mtim.tv_sec) * 1'000'000'000U +
                     static_cast<std::uint64_t>(about.st_mtim.tv_nsec);
  return (stamp ^ (about.st_ino * 0x9E3779B97F4A7C15U)) | 1U;
}

}  // namespace mallbots
