// Who is at the other end of a control connection: user by SO_PEERCRED, process by a pidfd.
//
// The pidfd comes from the kernel (SO_PEERPIDFD, Linux 6.5). Where it has none, the client sends
// its own with the Hello, and we believe it only if fdinfo shows the pid that SO_PEERCRED gave. A
// pid alone proves nothing: it is re-used, and differs between namespaces.
#pragma once

#include <sys/types.h>

#include <optional>

#include "shm/base/result.h"
#include "shm/region/fd.h"

namespace mallbots::broker {

struct Peer {
  pid_t pid = 0;  ///< as our namespace sees it; 0 if it cannot
  uid_t uid = 0;
  shm::UniqueFd pidfd;  ///< empty: the kernel gives none, the client must send its own
};

/// Errors: NotPermitted (the process is gone already), Io.
[[nodiscard]] Result<Peer> identify_peer(int socket);

/// The pidfd that came with a Hello. Errors: BadMessage (no pidfd, or of another process),
/// Unsupported (none came and the kernel gives none).
[[nodiscard]] Result<void> accept_pidfd(Peer& peer, std::optional<shm::UniqueFd> sent);

/// The process behind a pidfd has ended.
[[nodiscard]] bool is_dead(int pidfd) noexcept;
/// Pid as fdinfo shows it: nothing if it is no pidfd or its process was reaped.
[[nodiscard]] std::optional<pid_t> pid_of(int pidfd);

}  // namespace mallbots::broker
