#include "broker/keeper/link.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "broker/keeper/link_message.h"
#include "shm/base/check.h"
#include "shm/base/crash_point.h"

namespace mallbots::broker {
namespace {

Error keeper_gone() { return {ErrorCode::kDraining, "the keeper of this broker is gone"}; }

bool send_message(int socket, const LinkMessage& message, int fd) {
  iovec piece{const_cast<LinkMessage*>(&message), sizeof message};
  msghdr envelope{};
  envelope.msg_iov = &piece;
  envelope.msg_iovlen = 1;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
  if (fd >= 0) {
    envelope.msg_control = control.data();
    envelope.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&envelope);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  ssize_t sent = 0;
  do {
    sent = sendmsg(socket, &envelope, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(sizeof message);
}

}  // namespace

Result<void> KeeperLink::exchange(std::uint32_t type, FdStore::Name name, int fd) {
  if (!socket_) return {};
  const LinkMessage request{.type = type,
                            .kind = static_cast<std::uint32_t>(name.first),
                            .id = name.second,
                            .sequence = ++sequence_};
  if (!send_message(socket_.get(), request, fd)) {
    if (errno == ETOOMANYREFS)
      return fail(ErrorCode::kLimitReached, "too many descriptors are on their way to the keeper");
    return std::unexpected(keeper_gone());
  }
  LinkMessage answer{};
  ssize_t got = 0;
  do {
    got = recv(socket_.get(), &answer, sizeof answer, 0);
  } while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof answer)) return std::unexpected(keeper_gone());
  CHECK(answer.sequence == sequence_);
  if (answer.failed != 0)
    return fail(ErrorCode::kLimitReached,
                "the keeper cannot hold another descriptor (ulimit -n of mallbotsd)");
  return {};
}

Result<void> KeeperLink::put(FdKind kind, std::uint64_t id, int fd) {
  CRASH_POINT("keeper.put");
  return exchange(static_cast<std::uint32_t>(LinkType::kPut), {kind, id}, fd);
}

Result<void> KeeperLink::remove(FdKind kind, std::uint64_t id) {
  CRASH_POINT("keeper.remove");
  return exchange(static_cast<std::uint32_t>(LinkType::kRemove), {kind, id}, -1);
}

Result<void> KeeperLink::ready(std::uint64_t note) {
  CRASH_POINT("keeper.ready");
  return exchange(static_cast<std::uint32_t>(LinkType::kReady), {FdKind{}, note}, -1);
}

Result<std::size_t> KeeperLink::drop_rest() {
  const auto names = left_.names();
  left_.clear();
  for (const auto& [kind, id] : names) MALLBOTS_TRY(remove(kind, id));
  return names.size();
}

}  // namespace mallbots::broker
