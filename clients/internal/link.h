// Link: the control socket of a Connection, the session behind it, and the way back after the
// broker was away.
//
//        open ──▶ attached ──▶ down ──▶ greeting ──▶ attached
//                          hang-up   connect    answer to Hello
//
// Any thread; one lock, held for a whole request. Nothing runs between calls: pushed messages wait
// in the socket until somebody takes them (the session page's `news` says that there are some).
//
// An attachment is one life of the connection and has a number. A resumed session (the broker
// restarted, its memory was kept) keeps page, cells and eventfd; a new one has others, so whatever
// was made on the old one is made anew by its owner. Sessions stay mapped while somebody holds
// them.
//
// Errors: NoBroker, NotPermitted, WrongVersion, ConnectionLost, Timeout, BadMessage, and whatever
// the broker answers.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "clients/connection.h"
#include "shm/concurrent/wait.h"
#include "shm/layout/control.h"
#include "shm/layout/session_page.h"
#include "shm/region/fd.h"
#include "shm/region/memory.h"

namespace mallbots::client {

/// One session at the broker, as long as somebody uses it.
struct Session {
  SessionIndex index = 0;
  std::uint64_t token = 0;
  shm::UniqueFd page_fd;
  shm::Mapping page;
  shm::UniqueFd eventfd;  ///< wakes the broker; its number stays when the broker is replaced

  [[nodiscard]] shm::SessionPage& memory() const noexcept { return *page.as<shm::SessionPage>(); }
  [[nodiscard]] shm::SessionHeader& header() const noexcept { return memory().header; }
};

/// What an attached owner builds on.
struct Attachment {
  std::uint64_t number = 0;
  std::shared_ptr<Session> session;
};

class Link {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Link>> open(ConnectionOptions options);
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link();

  [[nodiscard]] const ConnectionOptions& options() const noexcept { return options_; }
  [[nodiscard]] shm::WaitStrategy strategy() const noexcept;
  [[nodiscard]] std::uint32_t incarnation() const noexcept { return incarnation_.load(); }
  [[nodiscard]] bool is_attached() const noexcept { return attached_.load(); }
  /// True once it is known that the keeper is gone and its memory with it, until the next
  /// attachment: what is appended there now, nobody will ever read. One load.
  [[nodiscard]] bool is_memory_lost() const noexcept { return memory_lost_.load(); }
  /// Number of the attachment that holds now, or held last. One load.
  [[nodiscard]] std::uint64_t attachment() const noexcept { return number_.load(); }
  [[nodiscard]] Attachment current() const;

  /// Attached when it returns. ConnectionLost at the deadline, or when the broker has been away for
  /// reconnect_timeout_ms (then each call still tries once).
  [[nodiscard]] Result<void> ensure(Deadline deadline);
  /// One step without waiting: notices a hang-up, takes pushed messages, tries to come back.
  void tend();
  /// tend(), at most every 50 ms. One clock read if it is not due.
  void tend_now_and_then();
  /// True once the broker has been away for reconnect_timeout_ms.
  [[nodiscard]] bool is_lost() const;

  /// Asks on this attachment only: ConnectionLost if it is over, before or meanwhile. Timeout at
  /// the deadline (at least 100 ms are given).
  template <class Reply, class Message>
  [[nodiscard]] Result<Reply> ask_on(std::uint64_t attachment, const Message& message,
                                     Deadline deadline, std::vector<shm::UniqueFd>* fds = nullptr) {
    auto packet = exchange(attachment, packet_of(message), deadline, fds);
    if (!packet) return std::unexpected(std::move(packet).error());
    auto reply = shm::decode<Reply>(*packet);
    if (!reply) return fail(ErrorCode::kBadMessage, "the broker's answer has another form");
    return std::move(*reply);
  }
  /// Calls work(), which returns a Result, again when the connection was lost meanwhile or the
  /// broker was on its way out: then once the next one serves. For what may be carried out twice;
  /// `work` itself makes anew what hung on the attachment before.
  template <class Work>
  [[nodiscard]] auto ride_out(Deadline deadline, Work work) -> decltype(work()) {
    for (;;) {
      const std::uint64_t attachment = number_.load();
      auto result = work();
      if (result || deadline.has_passed() ||
          !may_ask_again(result.error().code, attachment, deadline))
        return result;
      if (auto back = ensure(deadline); !back) return std::unexpected(std::move(back).error());
    }
  }
  /// Attaches if need be, and asks; again as ride_out() says.
  template <class Reply, class Message>
  [[nodiscard]] Result<Reply> ask(const Message& message, Deadline deadline,
                                  std::vector<shm::UniqueFd>* fds = nullptr) {
    return ride_out(deadline, [&]() -> Result<Reply> {
      MALLBOTS_TRY(ensure(deadline));
      return ask_on<Reply>(attachment(), message, deadline, fds);
    });
  }
  /// As ask(), but only once.
  template <class Reply, class Message>
  [[nodiscard]] Result<Reply> ask_once(const Message& message, Deadline deadline) {
    MALLBOTS_TRY(ensure(deadline));
    return ask_on<Reply>(attachment(), message, deadline);
  }

  /// Sends without waiting for an answer, which is pushed (Settle). ConnectionLost: it did not go.
  template <class Message>
  [[nodiscard]] Result<void> post(std::uint64_t attachment, const Message& message) {
    return send_only(attachment, packet_of(message));
  }
  using QueuePush = std::variant<shm::Grants, shm::Settled>;
  /// What was pushed for that queue, oldest first.
  [[nodiscard]] std::optional<QueuePush> take_queue_push(std::uint64_t group_id);

  /// Assignments pushed for that group, oldest first.
  [[nodiscard]] std::optional<shm::Assignment> take_assignment(std::uint64_t group_id);
  /// Notices from `seen` on; moves `seen` behind them.
  [[nodiscard]] std::vector<shm::Notice> notices_since(std::uint64_t& seen);
  [[nodiscard]] std::uint64_t notices_so_far() const;

  /// The broker tells sessions apart, not consumers, so a session has one member in a group at
  /// most. False: another than `member` is in it.
  [[nodiscard]] bool claim_group(const std::string& group, const void* member);
  void release_group(const std::string& group, const void* member);

 private:
  enum class State : std::uint8_t { kDown, kGreeting, kAttached };
  enum class Arrived : std::uint8_t { kNothing, kReply, kOther, kHangUp };
  struct Packet {
    shm::MessageHeader header{};
    std::span<const std::byte> body;  ///< in buffer_
    std::vector<shm::UniqueFd> fds;
  };

  explicit Link(ConnectionOptions options);
  /// Of the error that a request on this attachment met: the broker that comes may give another
  /// answer. Waits until a broker that drains is gone, at most until the deadline.
  [[nodiscard]] bool may_ask_again(ErrorCode met, std::uint64_t attachment, Deadline deadline);
  template <class Message>
  [[nodiscard]] std::vector<std::byte> packet_of(const Message& message) {
    return shm::encode_packet(Message::kType, next_request(), message);
  }
  [[nodiscard]] std::uint32_t next_request() noexcept;
  [[nodiscard]] Result<std::vector<std::byte>> exchange(std::uint64_t attachment,
                                                        std::vector<std::byte> packet,
                                                        Deadline deadline,
                                                        std::vector<shm::UniqueFd>* fds);
  [[nodiscard]] Result<void> send_only(std::uint64_t attachment, std::vector<std::byte> packet);
  // Under the lock:
  [[nodiscard]] Result<void> connect();
  [[nodiscard]] bool send(std::span<const std::byte> packet, int fd);
  [[nodiscard]] Arrived receive(std::uint32_t request_id, Packet& packet);
  [[nodiscard]] Result<void> welcome(Packet packet);
  [[nodiscard]] Result<void> connect_again();
  [[nodiscard]] Result<void> step();
  void keep_push(const Packet& packet);
  void hang_up();
  void wait_for_socket(Deadline deadline) const;
  [[nodiscard]] bool lost_for_too_long() const noexcept;

  ConnectionOptions options_;
  mutable std::mutex lock_;
  State state_ = State::kDown;
  shm::UniqueFd socket_;
  std::shared_ptr<Session> session_;
  std::uint32_t hello_id_ = 0;
  pid_t listener_pid_ = 0;  ///< of the attachment
  pid_t greeted_pid_ = 0;   ///< of the connection that is being made
  BootNanos lost_since_ = 0;
  BootNanos next_connect_ = 0;
  std::vector<std::byte> buffer_;
  std::map<std::uint64_t, std::deque<shm::Assignment>> assignments_;
  std::map<std::uint64_t, std::deque<QueuePush>> queue_pushes_;
  std::deque<shm::Notice> notices_;
  std::map<std::string, const void*> members_;
  std::uint64_t notices_dropped_ = 0;
  std::atomic<std::uint32_t> request_id_{0};
  std::atomic<std::uint64_t> number_{0};
  std::atomic<std::uint32_t> incarnation_{0};
  std::atomic<bool> attached_{false};
  std::atomic<bool> memory_lost_{false};
  std::atomic<BootNanos> tended_{0};
};

}  // namespace mallbots::client
