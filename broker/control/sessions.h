// Sessions: who is attached, with which page, and until when.
//
//   free ──▶ live ──▶ free         the process died (its pidfd is readable), or said Goodbye
//             │ ▲
//             ▼ │ Hello with session and token
//           detached ──▶ gone ──▶ free
//                    1 s (30 s after a restart of the broker) without a connection
//   live ──▶ gone                  expelled: revoked, connection closed, process still there
//
//   live      connection, page, pidfd            detached  as live, without connection
//   gone      page and pidfd are kept, and the index is not given out again, until the process is
//             proven dead: it may still have the page and slots mapped
//
// What a restarted broker needs is in the registry and with the keeper before the client hears of
// it; a session that is on its way out is free in the registry before its descriptors go.
// Control thread. Errors: LimitReached, MemoryFull, Revoked (unknown session or token), Draining.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/control/packet_socket.h"
#include "broker/control/peer.h"
#include "broker/control/poller.h"
#include "broker/keeper/link.h"
#include "broker/log/session_pages.h"
#include "shm/layout/registry.h"
#include "shm/region/memory.h"

namespace mallbots::broker {

enum class CellUse : std::uint8_t {
  kFree,
  kReader,    ///< the client may close it
  kProducer,  ///< until the session ends
  kGroup,     ///< the coordinator closes it
};

struct Session {
  SessionIndex index = 0;
  shm::SessionEntry* entry = nullptr;
  shm::UniqueFd page_fd;
  shm::Mapping page;
  shm::UniqueFd pidfd;
  shm::UniqueFd wake;                    ///< empty: it has the instance's
  std::unique_ptr<PacketSocket> socket;  ///< empty: detached or gone
  pid_t pid = 0;
  uid_t uid = 0;
  std::string name;
  std::map<TopicId, std::string> opened;  ///< for `clients`
  std::map<std::uint32_t, CellUse> cells;
  std::vector<std::uint32_t> free_cells;
  BootNanos detached_until = 0;  ///< 0: attached
  bool gone = false;
  std::uint64_t polls_seen = 0;
  BootNanos polled_at = 0;

  [[nodiscard]] shm::SessionPage& memory() const noexcept { return *page.as<shm::SessionPage>(); }
};

class Sessions final : public SessionPages {
 public:
  struct Parts {
    shm::Registry& registry;
    KeeperLink& keeper;
    Poller& poller;
  };
  struct Limits {
    std::uint32_t per_user = 512;  ///< of users that are no administrators
    BootNanos restart_grace_ns = 30 * kSecond;
    BootNanos detach_grace_ns = kSecond;
  };
  Sessions(const Parts& parts, Limits limits) : parts_(parts), limits_(limits) {}

  /// Brings back what a predecessor left; all of them detached. Those that are gone are revoked
  /// and told of (take_expelled) again.
  [[nodiscard]] Result<void> restore(BootNanos now);

  /// A new session for that process; not attached yet.
  [[nodiscard]] Result<Session*> open(Peer peer, const std::string& name);
  /// The session of before, if process and token are the same; its old connection is dropped.
  [[nodiscard]] Result<Session*> resume(const Peer& peer, SessionIndex index, std::uint64_t token);
  [[nodiscard]] Result<void> attach(Session& session, std::unique_ptr<PacketSocket> socket);
  /// The connection is gone; the process may not be.
  void detach(Session& session, BootNanos now);
  /// The process is dead or will never touch the session again; everybody else was told.
  void end(SessionIndex index);
  /// Expels who stayed away too long; when to look again, INT64_MAX: never.
  [[nodiscard]] BootNanos expel_absent(BootNanos now);
  /// Sessions expelled since the last call: the groups must hear of it.
  [[nodiscard]] std::vector<SessionIndex> take_expelled() { return std::exchange(expelled_, {}); }

  /// Sends a packet; a client that does not read is expelled. False: there is no connection.
  bool send(Session& session, std::vector<std::byte> packet, std::vector<shm::UniqueFd> fds);
  /// A pushed message: also rings the doorbell.
  template <class Message>
  bool push(Session& session, const Message& message) {
    const bool sent = send(session, shm::encode_packet(Message::kType, 0, message), {});
    ring(session);
    return sent;
  }
  /// Rings every doorbell: a predecessor may have owed it, and all shall come back at once.
  void ring_all();
  /// The connection takes more.
  void writable(Session& session);

  [[nodiscard]] Session* find(SessionIndex index);
  [[nodiscard]] std::size_t count() const noexcept { return sessions_.size(); }
  [[nodiscard]] const std::map<SessionIndex, Session>& all() const noexcept { return sessions_; }
  /// What the last look at `polls` says: how long ago it moved.
  [[nodiscard]] BootNanos idle_ns(Session& session, BootNanos now);
  /// Remembers what a cell is for; `cell` was given out by open_cell.
  void use_cell(SessionIndex index, std::uint32_t cell, CellUse use);
  [[nodiscard]] CellUse use_of(SessionIndex index, std::uint32_t cell);

  // SessionPages
  [[nodiscard]] shm::SessionPage* page(SessionIndex session) override;
  [[nodiscard]] std::optional<std::uint32_t> open_cell(SessionIndex session) override;
  void close_cell(SessionIndex session, std::uint32_t cell) override;
  void for_each(const std::function<void(SessionIndex session, shm::SessionPage& page,
                                         std::uint32_t cells)>& visit) override;
  void expel(SessionIndex session, const std::string& reason) override;

 private:
  [[nodiscard]] Result<SessionIndex> choose_index(uid_t user) const;
  [[nodiscard]] Result<void> make_page(Session& session);
  [[nodiscard]] Result<void> keep(const Session& session);
  [[nodiscard]] Result<Session> restored(SessionIndex index, shm::SessionEntry& entry);
  void publish(Session& session);
  void close_socket(Session& session);
  static void ring(Session& session);

  Parts parts_;
  Limits limits_;
  std::map<SessionIndex, Session> sessions_;
  std::vector<SessionIndex> expelled_;
  mutable SessionIndex next_index_ = 0;
};

}  // namespace mallbots::broker
