// Disk: the one door of the broker to files. Two engines stand behind it, io_uring and its
// pwrite/fdatasync twin (one flush thread); open_disk() chooses one and says which and why. Tests
// put a faulty one in between (tests/support/faulty_disk.h).
//
// Two halves:
//   submit / kick / reap    the data path. One thread only: the one that called open_disk. Nothing
//                           here blocks. Completions are announced by completion_fd().
//   everything else         control operations. They block; any thread may call them (recovery
//   does,
//                           from several). Each is one CRASH_POINT and one system call, or says so.
//
// What a completed call promises after a power cut:
//   write with flush    the bytes, and what is needed to find them, are on the device
//   write               nothing
//   create, rename, unlink   nothing until sync_folder() of the folder completed
//   replace_file        the old content or the new one, whole; the new one once it returned
//
// Errors: DiskFull for ENOSPC and EDQUOT, NotPermitted for EACCES and EPERM, Io for the rest; the
// detail names file, call and errno. A failed write or flush is never repeated here: what the
// kernel has dropped, a second flush does not bring back (the first fdatasync says EIO, the second
// 0, and the data is gone).
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "shm/base/result.h"
#include "shm/region/fd.h"

namespace mallbots::broker {

/// Memory and offsets of every write through a File are multiples of this, whatever the device
/// would accept.
inline constexpr std::size_t kIoAlign = 4096;

/// An open file or folder. Closed when it goes; must outlive the requests that name it.
class File {
 public:
  File() = default;
  File(shm::UniqueFd fd, std::string path, bool direct)
      : fd_(std::move(fd)), path_(std::move(path)), direct_(direct) {}

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// The file got another name on the disk.
  void renamed(std::string path) { path_ = std::move(path); }
  /// True if the page cache is bypassed (O_DIRECT).
  [[nodiscard]] bool direct() const noexcept { return direct_; }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(fd_); }

  /// What the engine has noted of the size, on the thread of the data path.
  struct Size {
    std::uint64_t written = 0;  ///< by requests that are done
    std::uint64_t durable = 0;  ///< flushed after them: no power cut takes it back
  };
  [[nodiscard]] Size& size() const noexcept { return size_; }

 private:
  shm::UniqueFd fd_;
  std::string path_;
  bool direct_ = false;
  mutable Size size_;
};

/// Told on the thread that calls reap().
class IoHandler {
 public:
  /// error: 0 or an errno. All bytes were written (and flushed, if asked) or error is not 0.
  virtual void io_done(std::uint64_t tag, int error) = 0;

 protected:
  ~IoHandler() = default;
};

enum class IoKind : std::uint8_t {
  kWrite,       ///< no promise until a later flush of the file
  kWriteFlush,  ///< write, then flush the file's data and what is needed to find it
  kFlush,       ///< fdatasync
  kSyncFolder,  ///< fsync of a folder: creations, renames, removals in it
};

struct IoRequest {
  IoKind kind = IoKind::kWrite;
  const File* file = nullptr;
  std::uint64_t offset = 0;
  /// Any number, each a multiple of kIoAlign. Copied by submit(); the memory they name must live
  /// and keep still until io_done.
  std::span<const iovec> pieces{};
  IoHandler* handler = nullptr;
  std::uint64_t tag = 0;
};

enum class OpenMode : std::uint8_t {
  kReadOnly,     ///< through the page cache
  kReadDirect,   ///< bypassing it where the file system can, so that the device is what is read
  kCreateWrite,  ///< must not exist; O_DIRECT where the file system can; mode 0600
  kFolder,
};

struct SpaceInfo {
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0;  ///< for this user
};

class Disk {
 public:
  virtual ~Disk() = default;  ///< waits for what is in flight, so its memory must live until then

  // --- data path: one thread
  /// Queues a request. Nothing is ordered between requests of one file that overlap in time.
  virtual void submit(const IoRequest& request) = 0;
  /// Hands what was queued to the kernel or the flush thread: one system call for all.
  virtual void kick() = 0;
  /// Readable when reap() has something to do (an eventfd that reap() empties).
  [[nodiscard]] virtual int completion_fd() const noexcept = 0;
  /// Calls io_done of everything that completed; returns how many. Never blocks.
  virtual std::size_t reap() = 0;
  /// Requests submitted and not yet reaped.
  [[nodiscard]] virtual std::size_t in_flight() const noexcept = 0;
  /// "io_uring (write + fdatasync)", "pwrite (O_DSYNC)": for log, `status` and `doctor`.
  [[nodiscard]] virtual std::string engine() const = 0;

  // --- control operations: any thread, blocking
  [[nodiscard]] virtual Result<File> open(const std::string& path, OpenMode mode) = 0;
  /// mkdir 0700; a folder that is there already is fine.
  [[nodiscard]] virtual Result<void> make_folder(const std::string& path) = 0;
  [[nodiscard]] virtual Result<void> sync_folder(const std::string& path) = 0;
  /// Overwrites an existing `to`.
  [[nodiscard]] virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
  /// A file that is gone already is fine.
  [[nodiscard]] virtual Result<void> remove(const std::string& path) = 0;
  [[nodiscard]] virtual Result<void> remove_folder(const std::string& path) = 0;
  /// On the thread of the data path, with nothing of the file in flight.
  [[nodiscard]] virtual Result<void> truncate(const File& file, std::uint64_t bytes) = 0;
  /// fdatasync; then drops the file from the page cache, so that the next read shows the device.
  [[nodiscard]] virtual Result<void> flush_and_forget(const File& file) = 0;
  /// Names in the folder, sorted, without . and ..; empty if there is no such folder.
  [[nodiscard]] virtual Result<std::vector<std::string>> list(const std::string& folder) = 0;
  [[nodiscard]] virtual Result<std::uint64_t> size_of(const File& file) = 0;
  /// Reads [offset, offset + into.size()); returns how much there was before the end of the file.
  /// With a direct file all three are multiples of kIoAlign (AlignedBuffer).
  [[nodiscard]] virtual Result<std::size_t> read(const File& file, std::uint64_t offset,
                                                 std::span<std::byte> into) = 0;
  /// Whole file, at most `limit` bytes. Error BadArgument if longer; a missing file gives
  /// an Io error with missing_file() true.
  [[nodiscard]] virtual Result<std::vector<std::byte>> read_file(const std::string& path,
                                                                 std::uint64_t limit) = 0;
  /// path.tmp, write, fsync, rename, fsync of the folder. After an error: the old or the new one.
  [[nodiscard]] virtual Result<void> replace_file(const std::string& path,
                                                  std::span<const std::byte> content) = 0;
  [[nodiscard]] virtual bool exists(const std::string& path) = 0;
  [[nodiscard]] virtual Result<SpaceInfo> space(const std::string& path) = 0;
};

enum class EngineChoice : std::uint8_t { kAuto, kUring, kThread };
/// kDsync: of writes inside the durable size; those that extend it are followed by fdatasync.
enum class FlushChoice : std::uint8_t { kMeasure, kDsync, kFdatasync };

struct DiskOptions {
  /// kAuto: io_uring unless the kernel refuses it.
  EngineChoice engine = EngineChoice::kAuto;
  /// kMeasure: a few writes in `probe_folder` by the engine itself, at most about 100 ms.
  FlushChoice flush = FlushChoice::kMeasure;
  /// A folder of the data directory. Needed for kMeasure only.
  std::string probe_folder;
  /// False: page cache instead of O_DIRECT (tests; file systems that lie).
  bool direct = true;
};

/// The engine and, in engine(), why it is this one. Called on the thread that will drive the data
/// path. Errors: Unsupported with kUring where the kernel refuses io_uring; Io.
[[nodiscard]] Result<std::unique_ptr<Disk>> open_disk(const DiskOptions& options);

/// Error value of a failed file operation: code by errno, detail "call path: text".
[[nodiscard]] Error file_error(const char* call, const std::string& path, int error);
/// True if the error says ENOENT.
[[nodiscard]] bool missing_file(const Error& error) noexcept;

/// Memory for O_DIRECT: kIoAlign-aligned, zeroed.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t bytes);

  [[nodiscard]] std::byte* data() noexcept { return bytes_.get(); }
  [[nodiscard]] const std::byte* data() const noexcept { return bytes_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::span<std::byte> span() noexcept { return {bytes_.get(), size_}; }
  [[nodiscard]] std::span<const std::byte> span() const noexcept { return {bytes_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* p) const noexcept;
  };
  std::unique_ptr<std::byte[], Free> bytes_;
  std::size_t size_ = 0;
};

}  // namespace mallbots::broker
