#include "broker/control/peer.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "broker/folders.h"
#include "broker/units.h"

namespace mallbots::broker {
namespace {

#ifndef SO_PEERPIDFD
constexpr int SO_PEERPIDFD = 77;  // asm-generic/socket.h, Linux 6.5
#endif
constexpr std::size_t kFdinfoBytes = 4096;

}  // namespace

Result<Peer> identify_peer(int socket) {
  ucred who{};
  socklen_t size = sizeof who;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
    return fail(ErrorCode::kIo, std::string{"SO_PEERCRED: "} + std::strerror(errno));
  Peer peer{.pid = who.pid, .uid = who.uid, .pidfd = {}};
  int pidfd = -1;
  size = sizeof pidfd;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0)
    peer.pidfd = shm::UniqueFd{pidfd};
  else if (errno != ENOPROTOOPT)
    return fail(ErrorCode::kNotPermitted,
                std::string{"the connecting process has no pidfd: "} + std::strerror(errno));
  return peer;
}

std::optional<pid_t> pid_of(int pidfd) {
  const auto text = read_text_file("/proc/self/fdinfo/" + std::to_string(pidfd), kFdinfoBytes);
  if (!text) return std::nullopt;
  const auto line = text->find("\nPid:\t");
  if (line == std::string::npos) return std::nullopt;
  const auto begin = line + 6;
  const auto pid =
      parse_number(std::string_view{*text}.substr(begin, text->find('\n', begin) - begin));
  if (!pid || *pid == 0) return std::nullopt;  // "-1": reaped; "0": of no concern to our namespace
  return static_cast<pid_t>(*pid);
}

Result<void> accept_pidfd(Peer& peer, std::optional<shm::UniqueFd> sent) {
  if (peer.pidfd) return {};
  if (!sent)
    return fail(ErrorCode::kUnsupported,
                "this kernel has no SO_PEERPIDFD, and the Hello brought no pidfd of its process");
  const auto pid = pid_of(sent->get());
  if (!pid || *pid != peer.pid)
    return fail(ErrorCode::kBadMessage,
                "the descriptor sent is no pidfd of the connecting process");
  peer.pidfd = std::move(*sent);
  return {};
}

bool is_dead(int pidfd) noexcept {
  pollfd item{pidfd, POLLIN, 0};
  return poll(&item, 1, 0) > 0;
}

}  // namespace mallbots::broker
