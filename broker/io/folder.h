// What a broker must know of a folder before it trusts it, and the lock that keeps a second broker
// out. Start-up only; blocking.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "shm/base/clock.h"
#include "shm/base/result.h"
#include "shm/region/fd.h"

namespace mallbots::broker {

struct FolderFacts {
  bool exists = false;
  bool is_folder = false;
  uid_t owner = 0;
  std::uint32_t mode = 0;  ///< permission bits
};
/// Follows symbolic links. Errors: Io, NotPermitted.
[[nodiscard]] Result<FolderFacts> look_at_folder(const std::string& path);
/// The user this process acts as.
[[nodiscard]] uid_t own_user() noexcept;

/// An exclusive lock on `path` (made if missing, mode 0600) that lives as long as the descriptor
/// and ends with the process. The file holds the pid of its owner, for people. Waits until
/// `deadline`. Error: InUse, naming the pid that has it.
[[nodiscard]] Result<shm::UniqueFd> lock_file(const std::string& path, Deadline deadline);

/// 64 random bits from the kernel; never 0.
[[nodiscard]] std::uint64_t random_id();

}  // namespace mallbots::broker
