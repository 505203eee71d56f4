// Robots: the connections that are open, and what each robot is told. The rules of README.md; no
// socket, no broker: doors bring messages and give Lines, DepotDoor asks the depot.
//
// What is true lies in the depot. An event of it is only a reason to look: look() asks what the
// robot holds and tells the robot the difference to what it was told. So events may come twice,
// late or not at all before a Hello, which looks too.
//
// Who calls: doors, from any thread; a timer, every 100 ms, for tick(). `done`, Line::end and calls
// to the depot are made without the lock. What is passed by reference, and whatever calls back,
// must end before this object (DepotCalls::close).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "services/gateways/fleet/depot_door.h"
#include "services/gateways/fleet/session.h"
#include "services/gateways/fleet/strangers.h"

namespace mallbots::fleet {

struct RobotsOptions {
  std::size_t max_robots = 10'000;     ///< that have said Hello
  std::size_t max_strangers = 1'000;   ///< that have not
  std::int64_t hello_ms = 10'000;      ///< until a connection has said Hello
  std::int64_t resend_ms = 2'000;      ///< until a directive without Ack is sent again
  std::int64_t retry_ms = 500;         ///< until the depot is asked again after a failure
  std::int64_t heartbeats_ms = 1'000;  ///< between two calls that tell the depot who was heard
  std::int64_t positions_ms = 500;     ///< between two positions of one robot
};

/// Of all connections since the start.
struct FleetNumbers {
  std::uint64_t open = 0;  ///< now, said Hello or not
  std::uint64_t welcomed = 0;
  std::uint64_t reports = 0;
  std::uint64_t refused = 0;
  std::uint64_t directives = 0;
  std::uint64_t resent = 0;
  std::map<Ending, std::uint64_t> ended{};
};

class Robots {
 public:
  struct Ports {
    DepotDoor& depot;
    /// Whether the device may connect; called without the lock.
    std::function<bool(const fleetpb::Hello& hello, bool is_local)> admits;
    std::function<BootNanos()> now_ns;
    std::function<void(const std::string& bot_id, const fleetpb::RobotAt& at)> show;
  };
  /// Reports of one connection that wait, at most; a door reads no further then.
  static constexpr std::size_t kMaxPending = 16;
  /// Directives without Ack; one more, and the robot is too slow.
  static constexpr std::size_t kMaxUnacked = 64;
  /// Reports whose answers the depot keeps.
  static constexpr std::uint64_t kAnswersKept = 64;

  Robots(Ports ports, const RobotsOptions& options)
      : ports_(std::move(ports)), options_(options), strangers_(options.max_strangers) {}

  /// A stranger until its Hello, from that address; where there are as many as may be, one of them
  /// ends. Null: closed.
  [[nodiscard]] std::shared_ptr<Session> open(std::shared_ptr<Line> line, std::string peer);
  /// The same, of a local controller.
  [[nodiscard]] std::shared_ptr<Session> open_local(std::shared_ptr<Line> line);
  /// `done` when the message needs nothing more: answered, or its connection is over.
  void heard(const std::shared_ptr<Session>& session, fleetpb::FromRobot message,
             std::function<void()> done);
  /// The robot's side is gone.
  void ended(const std::shared_ptr<Session>& session);
  /// Something happened to that robot or list.
  void look(const std::string& bot_id, const std::string& list_id);
  /// The robot has said Hello, maybe elsewhere.
  void came_online(const std::string& bot_id, std::uint64_t epoch);
  void tick();
  /// Ends all connections.
  void close();

  [[nodiscard]] FleetNumbers numbers() const;

 private:
  using Ref = std::shared_ptr<Session>;
  using After = std::vector<std::function<void()>>;  ///< without the lock

  template <class Body>
  void locked(const Body& body) {
    After after;
    {
      const std::lock_guard lock(mutex_);
      body(after);
    }
    for (const auto& call : after) call();
  }
  void hear(const Ref& session, Pending& heard, bool is_admitted, After& after);
  void on_hello(const Ref& session, const fleetpb::Hello& hello, bool is_admitted, After& after);
  void on_heartbeat(const Ref& session, const fleetpb::Heartbeat& heartbeat, After& after);
  void on_ack(Session& session, std::uint64_t number);
  void on_welcome(const Ref& session, const std::expected<depotpb::HelloResponse, CallFailure>&);
  void admit(const Ref& session, const depotpb::HelloResponse& welcome, After& after);
  void on_answer(const Ref& session, const std::expected<void, CallFailure>& answer);
  void on_bot(const Ref& session, const std::expected<depotpb::Bot, CallFailure>& bot);
  void on_list(const Ref& session, const std::expected<depotpb::ShoppingList, CallFailure>& list);
  void on_heartbeats(const std::expected<depotpb::HeartbeatsResponse, CallFailure>& response);

  [[nodiscard]] Ref begin(std::shared_ptr<Line> line, std::string peer, bool is_local);
  void become_stranger(Session& session, After& after);
  void become_greeting(const Ref& session, const fleetpb::Hello& hello, After& after);
  /// Where it has an older connection, that one is about to end.
  [[nodiscard]] bool has_room_for(const std::string& bot_id) const {
    return sessions_.size() - strangers_.size() < options_.max_robots || by_bot_.contains(bot_id) ||
           greeting_.contains(bot_id);
  }
  void pump(const Ref& session, After& after);
  void say_hello(const Ref& session, After& after);
  void report(const Ref& session, After& after);
  void start_look(const Ref& session, After& after);
  void try_later(Session& session);
  void tell(const Ref& session, fleetpb::ToRobot directive, After& after);
  void set_told(const Ref& session, const std::string& list_id, bool is_canceled);
  void send(const Ref& session, fleetpb::ToRobot message, After& after);
  void reject(const Ref& session, std::uint64_t sequence, const CallFailure& why, After& after);
  void end(const Ref& session, Ending why, After& after);
  void watch(const Ref& session, BootNanos now, After& after);
  void tell_depot_who_was_heard(BootNanos now, After& after);
  void show(Session& session, BootNanos now, After& after);

  Ports ports_;
  RobotsOptions options_;
  mutable std::mutex mutex_;
  std::set<Ref> sessions_;
  Strangers strangers_;                            ///< those of them that are new
  std::unordered_map<std::string, Ref> greeting_;  ///< by bot, those that wait for a Welcome
  std::unordered_map<std::string, Ref> by_bot_;    ///< open ones
  std::unordered_map<std::string, Ref> by_list_;   ///< by told_list
  FleetNumbers numbers_;
  BootNanos heartbeats_ns_ = 0;
  bool heartbeats_under_way_ = false;
  bool is_closed_ = false;
};

}  // namespace mallbots::fleet
