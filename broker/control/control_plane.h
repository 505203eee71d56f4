// ControlPlane: connections and their messages, from accept to reply.
//
//   accepted ──▶ in the lobby ──Hello──▶ session      (sessions.h)
//                   │ 5 s without Hello, 129th in the lobby, garbage: closed
//
// Whatever does not decode, is too long, brings descriptors that nobody asked for, or speaks before
// its Hello, costs that client its connection and one log line, and nobody else anything. Nothing
// here blocks, and no client gets more than 16 messages per turn. Control thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>

#include "broker/control/reply.h"
#include "broker/control/sessions.h"
#include "broker/event_log.h"

namespace mallbots::broker {

class ControlPlane {
 public:
  /// One decoded-to-be request. nullopt: it cannot be understood; the session ends.
  using Call = std::function<std::optional<Result<Reply>>(Session& who, shm::MessageType type,
                                                          std::uint32_t request_id,
                                                          std::span<const std::byte> body)>;
  struct Parts {
    Sessions& sessions;
    Poller& poller;
    int listener;
    int wake;  ///< the instance's eventfd
    Call call;
  };
  struct Identity {
    std::uint32_t incarnation = 0;
    LogEpoch log_epoch = 0;
  };
  ControlPlane(Parts parts, Identity identity) : parts_(std::move(parts)), identity_(identity) {}

  [[nodiscard]] Result<void> start();
  /// Events of kListener, kLobby and kSession.
  void handle(const Event& event, BootNanos now);
  /// Closes who did not say Hello in time; when to be called again, INT64_MAX: never.
  [[nodiscard]] BootNanos duty(BootNanos now);
  /// No new clients; the listener stays with the keeper, where they wait for the next broker.
  void stop_accepting();
  void answer(Session& who, std::uint32_t request_id, Result<Reply> outcome);

  [[nodiscard]] std::uint64_t messages() const noexcept { return messages_; }
  [[nodiscard]] std::uint64_t refused_connections() const noexcept { return refused_; }

 private:
  struct Guest {
    std::unique_ptr<PacketSocket> socket;
    Peer peer;
    BootNanos until = 0;
  };
  void accept_some(BootNanos now);
  void admit(shm::UniqueFd socket, BootNanos now);
  void read_guest(std::uint32_t ticket, BootNanos now);
  void greet(std::uint32_t ticket, const Packet& packet, std::vector<shm::UniqueFd> fds);
  [[nodiscard]] Result<Session*> welcome(Guest& guest, const shm::Hello& hello,
                                         std::vector<shm::UniqueFd> fds);
  void refuse_guest(std::uint32_t ticket, const char* reason);
  void close_guest(std::uint32_t ticket);
  void read_session(SessionIndex index, BootNanos now);
  /// False: the connection is gone.
  [[nodiscard]] bool serve(SessionIndex index, const Packet& packet);

  Parts parts_;
  Identity identity_;
  std::map<std::uint32_t, Guest> lobby_;  ///< by ticket: ascending is oldest first
  std::uint32_t next_ticket_ = 1;
  BootNanos accept_again_ = 0;  ///< not 0: no descriptors left, accepting rests until then
  bool accepting_ = true;
  LogBrake brake_{20};
  std::uint64_t messages_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace mallbots::broker
