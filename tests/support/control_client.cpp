#include "tests/support/control_client.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace mallbots::test {
namespace {

struct Detail {
  std::string text;
  void fields(shm::Decoder& decoder) { decoder(text); }
};

}  // namespace

std::string Answer::detail() const {
  const auto detail = as<Detail>();
  return detail ? detail->text : "(not an error)";
}

ControlClient::ControlClient(const std::string& socket_path) {
  shm::UniqueFd fd{socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::strncpy(address.sun_path, socket_path.c_str(), sizeof address.sun_path - 1);
  const timeval limit{.tv_sec = 10, .tv_usec = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
    fd_ = std::move(fd);
}

bool ControlClient::send(std::span<const std::byte> packet, std::span<const int> fds) {
  iovec piece{const_cast<std::byte*>(packet.data()), packet.size()};
  std::vector<std::byte> control(fds.empty() ? 0 : CMSG_SPACE(fds.size_bytes()));
  msghdr envelope{};
  envelope.msg_iov = &piece;
  envelope.msg_iovlen = 1;
  if (!fds.empty()) {
    envelope.msg_control = control.data();
    envelope.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&envelope);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  }
  return sendmsg(fd_.get(), &envelope, MSG_NOSIGNAL) >= 0;
}

std::optional<Answer> ControlClient::receive() {
  std::vector<std::byte> bytes(shm::kMaxMessageBytes);
  iovec piece{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(8 * sizeof(int))> control{};
  msghdr envelope{};
  envelope.msg_iov = &piece;
  envelope.msg_iovlen = 1;
  envelope.msg_control = control.data();
  envelope.msg_controllen = control.size();
  const ssize_t got = recvmsg(fd_.get(), &envelope, MSG_CMSG_CLOEXEC);
  Answer answer;
  for (cmsghdr* item = CMSG_FIRSTHDR(&envelope); got > 0 && item != nullptr;
       item = CMSG_NXTHDR(&envelope, item)) {
    for (std::size_t i = 0; i < (item->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(item) + i * sizeof fd, sizeof fd);
      answer.fds.emplace_back(fd);
    }
  }
  if (got < static_cast<ssize_t>(sizeof answer.header)) return std::nullopt;
  bytes.resize(static_cast<std::size_t>(got));
  std::memcpy(&answer.header, bytes.data(), sizeof answer.header);
  answer.body.assign(bytes.begin() + sizeof answer.header, bytes.end());
  return answer;
}

bool ControlClient::closed() {
  std::array<std::byte, 256> rest;
  for (;;) {
    const ssize_t got = recv(fd_.get(), rest.data(), rest.size(), 0);
    if (got == 0 || (got < 0 && errno == ECONNRESET)) return true;
    if (got < 0) return false;
  }
}

Result<ControlClient::Welcome> ControlClient::hello(const std::string& name, std::uint32_t session,
                                                    std::uint64_t token) {
  // Kernels with SO_PEERPIDFD do not need the pidfd; the others do.
  const shm::UniqueFd self{static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0))};
  const std::array fds{self.get()};
  auto answer = call(
      shm::Hello{
          .layout_version = shm::kLayoutVersion, .session = session, .token = token, .name = name},
      fds);
  if (!answer) return fail(ErrorCode::kConnectionLost);
  if (answer->error() != ErrorCode::kNone) return fail(answer->error(), answer->detail());
  const auto reply = answer->as<shm::HelloReply>();
  if (!reply || answer->fds.size() != 2) return fail(ErrorCode::kBadMessage, "Hello's reply");
  return Welcome{*reply, std::move(answer->fds[0]), std::move(answer->fds[1])};
}

Result<shm::CreateTopicReply> ControlClient::create_topic(
    const std::string& name, std::uint32_t partitions,
    const std::vector<std::pair<std::string, std::string>>& settings) {
  shm::CreateTopic message{.name = name, .partitions = partitions};
  for (const auto& [key, value] : settings) message.settings.push_back({key, value});
  auto answer = call(message);
  if (!answer) return fail(ErrorCode::kConnectionLost);
  if (answer->error() != ErrorCode::kNone) return fail(answer->error(), answer->detail());
  const auto reply = answer->as<shm::CreateTopicReply>();
  if (!reply) return fail(ErrorCode::kBadMessage, "CreateTopic's reply");
  return *reply;
}

}  // namespace mallbots::test
