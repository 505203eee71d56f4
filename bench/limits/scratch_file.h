// A file on the disk under test, for the limits: created, filled once, opened with O_DIRECT,
// removed when this goes away. Not the product's file access (broker/io): the bare calls.
//
// Errors: kUnsupported when the file system refuses O_DIRECT (the detail says what to do), kIo for
// everything else the system refuses. One process, one thread.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <utility>

#include "shm/base/result.h"

namespace mallbots::bench {

/// Memory aligned as O_DIRECT wants it, filled with bytes that do not compress.
class DirectBuffer {
 public:
  explicit DirectBuffer(std::size_t size_bytes);
  DirectBuffer(const DirectBuffer&) = delete;
  DirectBuffer& operator=(const DirectBuffer&) = delete;
  ~DirectBuffer();
  [[nodiscard]] std::byte* data() const noexcept { return bytes_.data(); }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }

 private:
  std::span<std::byte> bytes_;
};

class ScratchFile {
 public:
  /// Every block of it has been written and flushed, so later writes change no metadata.
  [[nodiscard]] static Result<ScratchFile> create(const std::filesystem::path& directory,
                                                  std::size_t size_bytes);

  ScratchFile(ScratchFile&& other) noexcept
      : path_(std::exchange(other.path_, {})),
        fd_(std::exchange(other.fd_, -1)),
        size_bytes_(other.size_bytes_) {}
  ScratchFile& operator=(ScratchFile&&) = delete;
  ScratchFile(const ScratchFile&) = delete;
  ~ScratchFile();

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  ScratchFile(std::filesystem::path path, int fd, std::size_t size_bytes)
      : path_(std::move(path)), fd_(fd), size_bytes_(size_bytes) {}
  std::filesystem::path path_;
  int fd_;
  std::size_t size_bytes_;
};

}  // namespace mallbots::bench
