// Who listens on a TCP port of this machine: for messages about a port that is taken.
//
// Who calls: gateways, when they cannot bind. Reads /proc (proc(5): net/tcp, PID/fd); nothing when
// nobody listens there, or when this user may not look into that process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace mallbots {

struct PortOwner {
  std::int64_t pid = 0;
  std::string name;  ///< of its program
};

[[nodiscard]] std::optional<PortOwner> owner_of_port(std::uint16_t port);

}  // namespace mallbots
