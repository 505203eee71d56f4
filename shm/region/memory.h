// Shared memory: sealed memfds and mappings of them. The only mmap and memfd_create in the tree.
//
// Why memfd: no name to leak, to be guessed or to be removed under us, seals against truncation
// (SIGBUS), freed by the kernel with its last user. Every memfd is made 0600 before it is passed,
// since its default 0777 lets any receiver re-open it writable (memfd_create(2)).
#pragma once

#include <boost/interprocess/mapped_region.hpp>
#include <cstddef>
#include <span>
#include <string>

#include "shm/base/result.h"
#include "shm/region/fd.h"

namespace mallbots::shm {

enum class Access { kRead, kReadWrite };

/// A mapping; unmapped when it dies. MADV_DONTFORK (a child must not store through it) and
/// MADV_DONTDUMP (a core dump of it would delay the word of a death).
class Mapping {
 public:
  Mapping() = default;

  /// Maps the first `size_bytes` of `fd`. Corrupt if the file is shorter (it was passed by
  /// somebody), MemoryFull or Io if the kernel refuses.
  [[nodiscard]] static Result<Mapping> of(int fd, std::size_t size_bytes, Access access);

  /// Faults every page of [offset, offset+size) into this process (MADV_POPULATE_READ/WRITE), so
  /// that first touches cost nothing later and lack of memory is an error instead of a SIGBUS.
  [[nodiscard]] Result<void> populate(std::size_t offset_bytes, std::size_t size_bytes) const;

  [[nodiscard]] std::byte* data() const noexcept {
    return static_cast<std::byte*>(region_.get_address());
  }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return region_.get_size(); }
  [[nodiscard]] explicit operator bool() const noexcept { return region_.get_address() != nullptr; }
  template <class T>
  [[nodiscard]] T* as() const noexcept {
    return reinterpret_cast<T*>(data());
  }

 private:
  boost::interprocess::mapped_region region_;
  Access access_ = Access::kRead;
};

/// Creates a memfd of `size_bytes` zeros, mode 0600, close-on-exec, sealed against shrinking and
/// growing and further seals. `name` is shown in /proc/PID/maps only.
[[nodiscard]] Result<UniqueFd> create_memory(const std::string& name, std::size_t size_bytes);

/// The same memory as a descriptor that cannot be mapped writable.
[[nodiscard]] Result<UniqueFd> reopen_read_only(int memory_fd);

/// What a peer passed must be: a memfd sealed against shrinking, at least `size_bytes` long.
[[nodiscard]] Result<void> check_memory(int fd, std::size_t size_bytes);

}  // namespace mallbots::shm
