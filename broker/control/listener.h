// The control socket: RUNTIME_DIR/control.sock, SOCK_SEQPACKET, mode 0666 (SO_PEERCRED and the
// allow-lists decide what a client gets). Start-up of the broker.
#pragma once

#include <string>

#include "broker/keeper/link.h"
#include "shm/base/result.h"
#include "shm/region/fd.h"

namespace mallbots::broker {

/// The predecessor's socket, whose queue of waiting clients outlives a broker, or a new one. Only
/// with the lock of the runtime directory. Errors: Io, NotPermitted, LimitReached.
[[nodiscard]] Result<shm::UniqueFd> open_listener(const std::string& path, KeeperLink& keeper);

}  // namespace mallbots::broker
