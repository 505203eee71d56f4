#include "broker/control/packet_socket.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "shm/base/check.h"
#include "shm/base/crash_point.h"

namespace mallbots::broker {
namespace {

// A packet is looked at before the next one is received, by the one thread there is.
thread_local std::array<std::byte, shm::kMaxMessageBytes> received_bytes;

/// Takes every descriptor out, wanted or not: one that is left lying in the message is a leak.
std::vector<shm::UniqueFd> descriptors_of(msghdr& envelope) {
  std::vector<shm::UniqueFd> fds;
  for (cmsghdr* item = CMSG_FIRSTHDR(&envelope); item != nullptr;
       item = CMSG_NXTHDR(&envelope, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(item) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return fds;
}

}  // namespace

Receipt PacketSocket::receive(Packet& packet) {
  iovec piece{received_bytes.data(), received_bytes.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(shm::kMaxMessageFds * sizeof(int))> control{};
  msghdr envelope{};
  envelope.msg_iov = &piece;
  envelope.msg_iovlen = 1;
  envelope.msg_control = control.data();
  envelope.msg_controllen = control.size();
  ssize_t got = 0;
  do {
    got = recvmsg(fd_.get(), &envelope, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return errno == EAGAIN ? Receipt::kNothing : Receipt::kClosed;
  packet.fds = descriptors_of(envelope);
  // An empty packet cannot be told from the end of the connection, and means as much to us.
  if (got == 0) return Receipt::kClosed;
  if ((envelope.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return Receipt::kBad;
  packet.bytes = std::span{received_bytes}.first(static_cast<std::size_t>(got));
  return Receipt::kPacket;
}

PacketSocket::Sent PacketSocket::try_send(const Waiting& packet) {
  CHECK(packet.fds.size() <= shm::kMaxMessageFds);
  iovec piece{const_cast<std::byte*>(packet.bytes.data()), packet.bytes.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(shm::kMaxMessageFds * sizeof(int))> control{};
  msghdr envelope{};
  envelope.msg_iov = &piece;
  envelope.msg_iovlen = 1;
  if (!packet.fds.empty()) {
    envelope.msg_control = control.data();
    envelope.msg_controllen = CMSG_SPACE(packet.fds.size() * sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&envelope);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(packet.fds.size() * sizeof(int));
    for (std::size_t i = 0; i < packet.fds.size(); ++i) {
      const int fd = packet.fds[i].get();
      std::memcpy(CMSG_DATA(rights) + i * sizeof fd, &fd, sizeof fd);
    }
  }
  CRASH_POINT("control.send");
  ssize_t sent = 0;
  do {
    sent = sendmsg(fd_.get(), &envelope, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return Sent::kYes;
  // ETOOMANYREFS: as many descriptors as we may have are on their way to slow readers.
  const bool later = errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS;
  return later ? Sent::kLater : Sent::kBroken;
}

bool PacketSocket::send(std::vector<std::byte> bytes, std::vector<shm::UniqueFd> fds) {
  CHECK(bytes.size() <= shm::kMaxMessageBytes);
  Waiting packet{std::move(bytes), std::move(fds)};
  if (queue_.empty()) {
    const Sent sent = try_send(packet);
    if (sent != Sent::kLater) return sent == Sent::kYes;
  }
  if (queue_.size() >= kQueuedPackets || queued_bytes_ + packet.bytes.size() > kQueuedBytes)
    return false;
  queued_bytes_ += packet.bytes.size();
  queue_.push_back(std::move(packet));
  return true;
}

bool PacketSocket::flush() {
  while (!queue_.empty()) {
    const Sent sent = try_send(queue_.front());
    if (sent != Sent::kYes) return sent == Sent::kLater;
    queued_bytes_ -= queue_.front().bytes.size();
    queue_.pop_front();
  }
  return true;
}

}  // namespace mallbots::broker
