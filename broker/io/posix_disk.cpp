#include "broker/io/posix_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "shm/base/crash_point.h"

namespace mallbots::broker {

namespace {

std::unexpected<Error> refused(const char* call, const std::string& path) {
  return std::unexpected(file_error(call, path, errno));
}

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// False where O_DIRECT would need more than our alignment, or is not there at all.
bool direct_fits(int fd) {
  struct statx info{};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) != 0) return true;
  if ((info.stx_mask & STATX_DIOALIGN) == 0) return true;  // an older file system does not say
  return info.stx_dio_mem_align != 0 && info.stx_dio_mem_align <= kIoAlign &&
         info.stx_dio_offset_align != 0 && info.stx_dio_offset_align <= kIoAlign;
}

int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::kReadOnly:
    case OpenMode::kReadDirect:
      return O_RDONLY;
    case OpenMode::kCreateWrite:
      return O_RDWR | O_CREAT | O_EXCL;
    case OpenMode::kFolder:
      return O_RDONLY | O_DIRECTORY;
  }
  return O_RDONLY;
}

int write_all(int fd, std::span<const std::byte> content) {
  std::size_t done = 0;
  while (done < content.size()) {
    CRASH_POINT("io.replace.write");
    const ssize_t n =
        ::pwrite(fd, content.data() + done, content.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    done += static_cast<std::size_t>(n);
  }
  return 0;
}

}  // namespace

Result<File> PosixDisk::open(const std::string& path, OpenMode mode) {
  const bool wants_direct =
      direct_ && (mode == OpenMode::kReadDirect || mode == OpenMode::kCreateWrite);
  const int flags = flags_of(mode) | O_CLOEXEC;
  CRASH_POINT("io.open");
  shm::UniqueFd fd{::open(path.c_str(), flags, 0600)};
  if (!fd) return refused("open", path);
  bool direct = false;
  if (wants_direct && direct_fits(fd.get())) {
    // Set afterwards, so that a file system that refuses it has not made the file for nothing.
    direct = ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_DIRECT) == 0;
  }
  return File{std::move(fd), path, direct};
}

Result<void> PosixDisk::make_folder(const std::string& path) {
  CRASH_POINT("io.make-folder");
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return refused("mkdir", path);
  return {};
}

Result<void> PosixDisk::sync_folder(const std::string& path) {
  auto folder = open(path, OpenMode::kFolder);
  if (!folder) return std::unexpected(std::move(folder).error());
  CRASH_POINT("io.sync-folder");
  if (::fsync(folder->fd()) != 0) return refused("fsync", path);
  return {};
}

Result<void> PosixDisk::rename(const std::string& from, const std::string& to) {
  CRASH_POINT("io.rename");
  if (::rename(from.c_str(), to.c_str()) != 0) return refused("rename", from + " to " + to);
  return {};
}

Result<void> PosixDisk::remove(const std::string& path) {
  CRASH_POINT("io.remove");
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return refused("unlink", path);
  return {};
}

Result<void> PosixDisk::remove_folder(const std::string& path) {
  CRASH_POINT("io.remove-folder");
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return refused("rmdir", path);
  return {};
}

Result<void> PosixDisk::truncate(const File& file, std::uint64_t bytes) {
  CRASH_POINT("io.truncate");
  if (::ftruncate(file.fd(), static_cast<off_t>(bytes)) != 0) {
    return refused("ftruncate", file.path());
  }
  File::Size& size = file.size();
  size.written = std::min(size.written, bytes);
  size.durable = std::min(size.durable, bytes);
  return {};
}

Result<void> PosixDisk::flush_and_forget(const File& file) {
  CRASH_POINT("io.flush-and-forget");
  if (::fdatasync(file.fd()) != 0) return refused("fdatasync", file.path());
  ::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED);  // best effort: O_DIRECT reads need it not
  return {};
}

Result<std::vector<std::string>> PosixDisk::list(const std::string& folder) {
  std::vector<std::string> names;
  DIR* dir = ::opendir(folder.c_str());
  if (dir == nullptr) {
    if (errno == ENOENT) return names;
    return refused("opendir", folder);
  }
  errno = 0;
  while (const dirent* entry = ::readdir(dir)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  const int error = errno;
  ::closedir(dir);
  if (error != 0) return std::unexpected(file_error("readdir", folder, error));
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::uint64_t> PosixDisk::size_of(const File& file) {
  struct stat info{};
  if (::fstat(file.fd(), &info) != 0) return refused("fstat", file.path());
  return static_cast<std::uint64_t>(info.st_size);
}

Result<std::size_t> PosixDisk::read(const File& file, std::uint64_t offset,
                                    std::span<std::byte> into) {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t n = ::pread(file.fd(), into.data() + done, into.size() - done,
                              static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return refused("pread", file.path());
    done += static_cast<std::size_t>(n);
    if (n == 0 || (file.direct() && done % kIoAlign != 0)) break;  // the end of the file
  }
  return done;
}

Result<std::vector<std::byte>> PosixDisk::read_file(const std::string& path, std::uint64_t limit) {
  auto file = open(path, OpenMode::kReadOnly);
  if (!file) return std::unexpected(std::move(file).error());
  auto bytes = size_of(*file);
  if (!bytes) return std::unexpected(std::move(bytes).error());
  if (*bytes > limit) {
    return fail(ErrorCode::kBadArgument, path + " has " + std::to_string(*bytes) +
                                             " bytes, at most " + std::to_string(limit) +
                                             " are read");
  }
  std::vector<std::byte> content(*bytes);
  auto got = read(*file, 0, content);
  if (!got) return std::unexpected(std::move(got).error());
  content.resize(*got);
  return content;
}

Result<void> PosixDisk::replace_file(const std::string& path, std::span<const std::byte> content) {
  const std::string temporary = path + ".tmp";
  {
    CRASH_POINT("io.replace.create");
    const shm::UniqueFd fd{
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    if (!fd) return refused("open", temporary);
    if (const int error = write_all(fd.get(), content); error != 0) {
      return std::unexpected(file_error("pwrite", temporary, error));
    }
    CRASH_POINT("io.replace.flush");
    if (::fsync(fd.get()) != 0) return refused("fsync", temporary);
  }
  MALLBOTS_TRY(rename(temporary, path));
  return sync_folder(parent_of(path));
}

bool PosixDisk::exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Result<SpaceInfo> PosixDisk::space(const std::string& path) {
  struct statvfs info{};
  if (::statvfs(path.c_str(), &info) != 0) return refused("statvfs", path);
  return SpaceInfo{.total_bytes = std::uint64_t{info.f_blocks} * info.f_frsize,
                   .free_bytes = std::uint64_t{info.f_bavail} * info.f_frsize};
}

Result<File> make_probe_file(const std::string& folder) {
  const std::string path = folder + "/flush-probe.tmp";
  shm::UniqueFd fd{::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
  if (!fd) return refused("open", path);
  // no crash point: a file that nobody else knows, and without a name from here on
  if (::unlink(path.c_str()) != 0) return refused("unlink", path);
  const bool direct = direct_fits(fd.get()) && ::fcntl(fd.get(), F_SETFL, O_RDWR | O_DIRECT) == 0;
  return File{std::move(fd), path, direct};
}

}  // namespace mallbots::broker
