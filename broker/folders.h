// The runtime directory and the few whole files that main reads before there is a broker. (The
// data directory belongs to broker/storage.)
//
//   RUNTIME_DIR/control.sock   where clients connect (mode 0666: SO_PEERCRED and allow-lists
//                              decide)
//   RUNTIME_DIR/lock           locked by the keeper as long as it lives; holds its pid
//
// The runtime directory is made with mode 0711: other users may reach the socket but neither list
// nor change anything. It must belong to the broker's user and be writable by nobody else.
// Start-up, one thread. Errors: WrongOwner, InUse (names the pid), NotPermitted, Io, BadConfig
// (path too long for a socket), each naming the path.
#pragma once

#include <string>

#include "shm/base/result.h"
#include "shm/region/fd.h"

namespace mallbots::broker {

struct RuntimeFolder {
  std::string path;
  shm::UniqueFd lock;
  /// There was a keeper before us and it is gone; its broker may still be draining.
  bool inherited = false;

  [[nodiscard]] std::string socket_path() const { return path + "/control.sock"; }
};

/// Makes it (and its parents) if need be, checks owner and mode, takes the lock.
[[nodiscard]] Result<RuntimeFolder> open_runtime_folder(const std::string& path);

/// Makes the folders above `path`, mode 0755 as mkdir -p does, never `path` itself.
[[nodiscard]] Result<void> make_parents(const std::string& path);

/// Removes a socket that nobody listens on any more. Only with the runtime lock held.
[[nodiscard]] Result<void> remove_stale_socket(const std::string& path);

/// At most `limit_bytes` of a regular file.
[[nodiscard]] Result<std::string> read_text_file(const std::string& path, std::size_t limit_bytes);

}  // namespace mallbots::broker
