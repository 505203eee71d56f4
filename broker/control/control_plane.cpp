#include "broker/control/control_plane.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace mallbots::broker {
namespace {

constexpr int kMessagesPerTurn = 16;
constexpr int kAcceptsPerTurn = 32;
constexpr std::size_t kLobbySeats = 128;
constexpr BootNanos kHelloLimit = 5 * kSecond;
constexpr BootNanos kAcceptRest = 100 * kMillisecond;

}  // namespace

Result<void> ControlPlane::start() {
  return parts_.poller.watch(parts_.listener, Source::kListener, 0);
}

void ControlPlane::handle(const Event& event, BootNanos now) {
  switch (event.source) {
    case Source::kListener:
      return accept_some(now);
    case Source::kLobby:
      return read_guest(event.id, now);
    case Source::kSession: {
      const auto index = static_cast<SessionIndex>(event.id);
      if (event.writable)
        if (Session* session = parts_.sessions.find(index)) parts_.sessions.writable(*session);
      if (event.readable || event.hung_up) read_session(index, now);
      return;
    }
    default:
      return;
  }
}

BootNanos ControlPlane::duty(BootNanos now) {
  BootNanos next = INT64_MAX;
  while (!lobby_.empty() && lobby_.begin()->second.until <= now)
    refuse_guest(lobby_.begin()->first, "it said no Hello in 5 s");
  if (!lobby_.empty()) next = lobby_.begin()->second.until;
  if (accept_again_ != 0 && accept_again_ <= now && accepting_) {
    const bool watched = parts_.poller.watch(parts_.listener, Source::kListener, 0).has_value();
    accept_again_ = watched ? 0 : now + kAcceptRest;
  }
  return accept_again_ == 0 ? next : std::min(next, accept_again_);
}

void ControlPlane::stop_accepting() {
  if (accepting_) parts_.poller.forget(parts_.listener);
  accepting_ = false;
  while (!lobby_.empty()) close_guest(lobby_.begin()->first);
}

// Before the Hello
// -----------------------------------------------------------------------------------------

void ControlPlane::accept_some(BootNanos now) {
  for (int i = 0; i < kAcceptsPerTurn && accepting_; ++i) {
    shm::UniqueFd socket{accept4(parts_.listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (socket) {
      admit(std::move(socket), now);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      log_event(Level::kError, "no descriptor for another client", {{"error", strerror(errno)}});
      parts_.poller.forget(parts_.listener);
      accept_again_ = now + kAcceptRest;
    }
    return;
  }
}

void ControlPlane::admit(shm::UniqueFd socket, BootNanos now) {
  auto peer = identify_peer(socket.get());
  if (!peer) return;
  if (lobby_.size() >= kLobbySeats)
    refuse_guest(lobby_.begin()->first, "too many connections without Hello");
  const std::uint32_t ticket = next_ticket_++;
  if (!parts_.poller.watch(socket.get(), Source::kLobby, ticket)) return;
  Guest& guest = lobby_[ticket];
  guest.socket = std::make_unique<PacketSocket>(std::move(socket));
  guest.peer = std::move(*peer);
  guest.until = now + kHelloLimit;
}

void ControlPlane::read_guest(std::uint32_t ticket, BootNanos /*now*/) {
  const auto found = lobby_.find(ticket);
  if (found == lobby_.end()) return;
  Packet packet;
  switch (found->second.socket->receive(packet)) {
    case Receipt::kPacket:
      return greet(ticket, packet, std::move(packet.fds));
    case Receipt::kNothing:
      return;
    case Receipt::kClosed:
      return close_guest(ticket);
    case Receipt::kBad:
      return refuse_guest(ticket, "its first message is too long or brings too many descriptors");
  }
}

void ControlPlane::greet(std::uint32_t ticket, const Packet& packet,
                         std::vector<shm::UniqueFd> fds) {
  const auto header = shm::packet_header(packet.bytes);
  if (!header || header->type != static_cast<std::uint16_t>(shm::Hello::kType) || fds.size() > 1)
    return refuse_guest(ticket, "its first message is no Hello of this version");
  const auto hello = shm::decode<shm::Hello>(packet.bytes.subspan(sizeof(shm::MessageHeader)));
  if (!hello || hello->name.size() > shm::kMaxNameBytes)
    return refuse_guest(ticket, "its Hello cannot be understood");
  ++messages_;
  Guest& guest = lobby_.at(ticket);
  auto session = welcome(guest, *hello, std::move(fds));
  if (!session) {
    // It may try again: a session that is no more is followed by a Hello for a new one.
    if (!guest.socket->send(error_packet(header->request_id, session.error()), {}))
      close_guest(ticket);
    return;
  }
  parts_.poller.forget(guest.socket->fd());
  auto socket = std::move(guest.socket);
  lobby_.erase(ticket);
  const bool resumed = hello->session != shm::kNoSession;
  if (auto attached = parts_.sessions.attach(**session, std::move(socket)); !attached) {
    log_error(Level::kError, "session not attached", attached.error());
    return;
  }
  Session& who = **session;
  std::vector<shm::UniqueFd> gifts;
  gifts.push_back(copy_of(who.page_fd.get()));
  gifts.push_back(copy_of(who.wake ? who.wake.get() : parts_.wake));
  log_event(Level::kInfo, resumed ? "session resumed" : "session opened",
            {{"session", who.index}, {"pid", who.pid}, {"uid", who.uid}, {"name", who.name}});
  answer(who, header->request_id,
         reply_with(header->request_id,
                    shm::HelloReply{.session = who.index,
                                    .token = who.entry->token,
                                    .incarnation = identity_.incarnation,
                                    .log_epoch = identity_.log_epoch,
                                    .resumed = resumed},
                    std::move(gifts)));
}

Result<Session*> ControlPlane::welcome(Guest& guest, const shm::Hello& hello,
                                       std::vector<shm::UniqueFd> fds) {
  if (hello.layout_version != shm::kLayoutVersion)
    return fail(ErrorCode::kWrongVersion,
                fmt::format("the client speaks layout version {}, this broker version {}",
                            hello.layout_version, shm::kLayoutVersion));
  std::optional<shm::UniqueFd> pidfd;
  if (!fds.empty()) pidfd = std::move(fds.front());
  MALLBOTS_TRY(accept_pidfd(guest.peer, std::move(pidfd)));
  if (hello.session == shm::kNoSession) {
    Peer peer{
        .pid = guest.peer.pid, .uid = guest.peer.uid, .pidfd = copy_of(guest.peer.pidfd.get())};
    return parts_.sessions.open(std::move(peer), hello.name);
  }
  if (hello.session >= shm::kMaxSessions)
    return fail(ErrorCode::kRevoked, fmt::format("there is no session {}", hello.session));
  return parts_.sessions.resume(guest.peer, static_cast<SessionIndex>(hello.session), hello.token);
}

void ControlPlane::refuse_guest(std::uint32_t ticket, const char* reason) {
  const Guest& guest = lobby_.at(ticket);
  ++refused_;
  std::uint64_t dropped = 0;
  if (brake_.pass(boot_now_ns(), dropped))
    log_event(Level::kWarning, "connection refused",
              {{"pid", guest.peer.pid},
               {"uid", guest.peer.uid},
               {"reason", reason},
               {"lines_dropped", dropped}});
  close_guest(ticket);
}

void ControlPlane::close_guest(std::uint32_t ticket) {
  parts_.poller.forget(lobby_.at(ticket).socket->fd());
  lobby_.erase(ticket);
}

// Sessions
// -----------------------------------------------------------------------------------------

void ControlPlane::read_session(SessionIndex index, BootNanos now) {
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    Session* session = parts_.sessions.find(index);
    if (session == nullptr || !session->socket) return;
    Packet packet;
    switch (session->socket->receive(packet)) {
      case Receipt::kPacket:
        if (!serve(index, packet)) return;
        break;
      case Receipt::kNothing:
        return;
      case Receipt::kClosed:
        return parts_.sessions.detach(*session, now);
      case Receipt::kBad:
        ++refused_;
        return parts_.sessions.expel(index, "a message is too long or brings descriptors");
    }
  }
}

bool ControlPlane::serve(SessionIndex index, const Packet& packet) {
  Session& session = *parts_.sessions.find(index);
  ++messages_;
  const auto header = shm::packet_header(packet.bytes);
  std::optional<Result<Reply>> outcome;
  if (header && packet.fds.empty() && header->request_id != 0)
    outcome = parts_.call(session, static_cast<shm::MessageType>(header->type), header->request_id,
                          packet.bytes.subspan(sizeof(shm::MessageHeader)));
  if (!outcome) {
    ++refused_;
    parts_.sessions.expel(index, "a message cannot be understood");
    return false;
  }
  Session* still = parts_.sessions.find(index);  // Goodbye ends it
  if (still == nullptr || !still->socket) return false;
  answer(*still, header->request_id, std::move(*outcome));
  return static_cast<bool>(still->socket);
}

void ControlPlane::answer(Session& who, std::uint32_t request_id, Result<Reply> outcome) {
  if (!outcome) {
    parts_.sessions.send(who, error_packet(request_id, outcome.error()), {});
    return;
  }
  if (outcome->later) return;
  const bool no_descriptor =
      std::ranges::any_of(outcome->fds, [](const shm::UniqueFd& fd) { return !fd; });
  if (no_descriptor || outcome->packet.size() > shm::kMaxMessageBytes) {
    const Error error{ErrorCode::kLimitReached, no_descriptor ? "the broker has no descriptor left"
                                                              : "the answer is too long"};
    parts_.sessions.send(who, error_packet(request_id, error), {});
    return;
  }
  parts_.sessions.send(who, std::move(outcome->packet), std::move(outcome->fds));
}

}  // namespace mallbots::broker
