// Session: one connection of a robot, as Robots knows it. Touched under the lock of Robots only.
//
//   new ── Hello, admitted ──▶ greeting ── the depot's Welcome ──▶ open
//    │  ◀── the depot refuses ────┘                                 │
//    └──────────────────────── ended, by either side ───────────────┴──▶ over
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "services/gateways/fleet/fleet.pb.h"
#include "shm/base/clock.h"

namespace mallbots::fleet {

enum class Ending : std::uint8_t {
  kGone,         ///< the robot ended it
  kNotAdmitted,  ///< no such device, or a wrong secret
  kFenced,       ///< it has connected anew
  kSlow,         ///< it does not read what it is told
  kSilent,       ///< no Hello in time, or three heartbeats missed
  kOffline,      ///< the depot counts it as offline: it has to say Hello
  kFull,         ///< there are as many robots as may be
  kCrowded,      ///< too many streams without Hello, and most of them from where it is
  kClosing,      ///< the gateway ends
};

/// Where the messages to one robot go.
class Line {
 public:
  virtual ~Line() = default;
  /// Takes the message without waiting. False: there is no room. Must not call Robots.
  [[nodiscard]] virtual bool send(const fleetpb::ToRobot& message) = 0;
  /// Nothing is sent any more. Called once.
  virtual void end(Ending why) = 0;
};

/// A report that waits for its answer.
struct Pending {
  fleetpb::FromRobot message;
  std::function<void()> done;
};

struct Session : std::enable_shared_from_this<Session> {
  enum class State : std::uint8_t { kNew, kGreeting, kOpen, kOver };

  std::shared_ptr<Line> line;
  bool is_local = false;
  std::string peer;  ///< the address it comes from; local ones are all one
  State state = State::kNew;
  std::uint64_t stranger = 0;  ///< new: its number (Strangers); else 0
  BootNanos stranger_ns = 0;   ///< new: since then
  std::string bot_id;
  fleetpb::Hello hello;
  std::uint64_t epoch = 0;
  BootNanos heard_ns = 0;
  BootNanos silent_after_ns = 0;  ///< from heard_ns on
  bool heard_since_told = false;  ///< the depot does not know yet

  // One call to the depot at a time.
  bool is_busy = false;
  BootNanos retry_ns = 0;
  bool look_wanted = false;

  std::deque<Pending> pending;
  std::uint64_t next_sequence = 1;

  std::uint64_t next_number = 1;
  std::deque<fleetpb::ToRobot> unacked;
  BootNanos told_ns = 0;  ///< the first of `unacked`
  std::string told_list;  ///< which the robot has in hand, as far as it was told
  bool told_cancel = false;

  fleetpb::RobotAt at;
  bool has_moved = false;
  BootNanos shown_ns = 0;
};

}  // namespace mallbots::fleet
