#include "bench/limits/scratch_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <random>

namespace mallbots::bench {
namespace {

constexpr std::size_t kAlignment = 4096;

Error io_error(const char* what, const std::filesystem::path& path) {
  const int reason = errno;
  return Error{ErrorCode::kIo,
               fmt::format("{} '{}': {}", what, path.string(), std::strerror(reason))};
}

}  // namespace

DirectBuffer::DirectBuffer(std::size_t size_bytes)
    : bytes_(static_cast<std::byte*>(::operator new(size_bytes, std::align_val_t{kAlignment})),
             size_bytes) {
  std::mt19937_64 random{42};  // NOLINT: the same bytes each time, on purpose
  for (std::size_t i = 0; i + 8 <= size_bytes; i += 8) {
    const std::uint64_t word = random();
    std::memcpy(bytes_.data() + i, &word, 8);
  }
}

DirectBuffer::~DirectBuffer() {
  ::operator delete(static_cast<void*>(bytes_.data()), std::align_val_t{kAlignment});
}

Result<ScratchFile> ScratchFile::create(const std::filesystem::path& directory,
                                        std::size_t size_bytes) {
  constexpr std::size_t kBlock = std::size_t{1} << 20;
  const DirectBuffer block{kBlock};
  std::string name = (directory / "limit.XXXXXX").string();
  const int plain = ::mkstemp(name.data());
  if (plain < 0) return std::unexpected(io_error("creating", name));
  ::close(plain);
  ScratchFile file{name, ::open(name.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC), size_bytes};
  if (file.fd_ < 0 && errno == EINVAL) {
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("the file system of '{}' refuses O_DIRECT; name a directory on the disk "
                    "under test with --scratch",
                    directory.string()));
  }
  if (file.fd_ < 0) return std::unexpected(io_error("opening", name));
  for (std::size_t at = 0; at < size_bytes; at += kBlock) {
    if (::pwrite(file.fd_, block.data(), kBlock, static_cast<off_t>(at)) !=
        static_cast<ssize_t>(kBlock)) {
      return std::unexpected(io_error("filling", name));
    }
  }
  if (::fsync(file.fd_) != 0) return std::unexpected(io_error("flushing", name));
  return file;
}

ScratchFile::~ScratchFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!path_.empty()) ::unlink(path_.c_str());
}

}  // namespace mallbots::bench
