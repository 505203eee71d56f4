// Driver: what one simulated robot does: says Hello, takes offers, goes from stop to stop, picks,
// comes home, and now and then does something wrong on purpose. It knows no socket and no floor:
// the simulator gives it messages and time, takes its messages and takes it where it wants to go.
//
//   resting ── Offer ──▶ deciding ── Accept, Started ──▶ to a store ── there ──▶ picking ──┐
//      ▲                    └─ Decline ─▶ resting           ▲──────── next stop ───────────┤
//      └── Released ── at the depot ◀── there ── to the depot ◀──── no stop is left ───────┘
//   Cancel, wherever it is: bringing back ── at the depot ── Emptied ──▶ resting
//
// A refusal leaves it waiting for the directive that says what is so; if none comes it connects
// anew. Reports without an answer are said again after each connection, under their numbers.
//
// Who calls: the simulator, one thread. The same seed, messages and times give the same deeds.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "services/gateways/fleet/fleet.pb.h"
#include "services/simulators/bots/floor_plan.h"

namespace mallbots::bots {

/// Chances are in thousandths. Times are real ones; those of walking and picking are divided by
/// `speed`.
struct DriverOptions {
  double speed = 1;
  std::int64_t pick_ms = 3'000;   ///< for one item
  std::int64_t unavailable = 10;  ///< of an item: one of it is not there
  std::int64_t decline = 5;       ///< of an offer
  std::int64_t disconnect = 2;    ///< after a report
  std::int64_t twice = 10;        ///< of a report: it is said twice
  std::int64_t slow_ack = 10;     ///< of a directive: its Ack comes after slow_ack_ms
  std::int64_t slow_ack_ms = 3'000;
  std::int64_t breakdown = 1;  ///< of a stop: the robot stands, without a connection
  std::int64_t breakdown_ms = 15'000;
};

struct DriverNumbers {
  std::uint64_t offers = 0;
  std::uint64_t declined = 0;
  std::uint64_t lists = 0;  ///< fetched and released
  std::uint64_t canceled = 0;
  std::uint64_t reports = 0;
  std::uint64_t refused = 0;
  std::uint64_t breakdowns = 0;
  std::uint64_t connections = 0;
};

class Driver {
 public:
  struct Identity {
    std::string id;
    std::string secret;  ///< empty: a local controller
    bool is_local = false;
    std::uint64_t seed = 0;
    bool is_lost = false;  ///< it breaks down for good half-way, or else on its way to the depot
  };
  Driver(Identity identity, const DriverOptions& options);

  // --- What happens to it

  /// There is a line to the gateway: it says Hello.
  void connected(std::int64_t now_ms);
  /// The line is gone.
  void disconnected(std::int64_t now_ms);
  void hear(const fleetpb::ToRobot& message, std::int64_t now_ms);
  /// It stands where it wanted to go.
  void arrived(std::int64_t now_ms);
  void tick(std::int64_t now_ms, const fleetpb::Position& at);

  // --- What it does

  /// In the order in which they are to be sent.
  [[nodiscard]] std::vector<fleetpb::FromRobot> take_messages();
  [[nodiscard]] bool wants_line(std::int64_t now_ms) const noexcept;
  /// It does not move.
  [[nodiscard]] bool is_broken(std::int64_t now_ms) const noexcept {
    return now_ms < broken_until_ms_;
  }
  enum class Place : std::uint8_t { kNowhere, kStore, kDepot, kParking };
  [[nodiscard]] Place destination() const noexcept { return destination_; }
  /// Of the store, if that is its destination.
  [[nodiscard]] const std::string& location() const noexcept { return location_; }
  [[nodiscard]] bool is_welcome() const noexcept { return link_ == Link::kWelcome; }
  [[nodiscard]] const DriverNumbers& numbers() const noexcept { return numbers_; }
  [[nodiscard]] const Identity& identity() const noexcept { return identity_; }

 private:
  enum class Link : std::uint8_t { kNone, kHello, kWelcome };
  enum class Stage : std::uint8_t {
    kResting,
    kDeciding,
    kToStore,
    kAtStore,
    kPicking,
    kPicked,
    kToDepot,
    kAtDepot,
    kBringingBack,
    kEmptying,
    kRefused,
  };

  void on_welcome(const fleetpb::Welcome& welcome, std::uint64_t epoch, std::int64_t now_ms);
  void on_done(std::uint64_t sequence, std::int64_t now_ms);
  void on_reject(const fleetpb::Reject& reject, std::int64_t now_ms);
  void on_directive(const fleetpb::ToRobot& message, std::int64_t now_ms);
  void on_offer(const fleetpb::Offer& offer);
  void after(const fleetpb::FromRobot& done, std::int64_t now_ms);
  void say_hello(std::int64_t now_ms);
  void report(fleetpb::FromRobot message, std::int64_t now_ms);
  void say(const fleetpb::FromRobot& message, std::int64_t now_ms);
  void say_again(std::int64_t now_ms);
  void go_on(std::int64_t now_ms);
  void rest();
  void go(Place place, Stage stage);
  void drop_line(std::int64_t until_ms);
  [[nodiscard]] fleetpb::FromRobot picked_items();
  [[nodiscard]] fleetpb::Stop* next_stop();
  [[nodiscard]] bool happens(std::int64_t thousandths);
  void break_down(std::int64_t until_ms);

  Identity identity_;
  DriverOptions options_;
  std::mt19937_64 random_;
  DriverNumbers numbers_;

  Link link_ = Link::kNone;
  bool drops_line_ = false;
  std::int64_t line_after_ms_ = 0;
  std::int64_t hello_ms_ = 0;
  std::uint64_t nonce_ = 0;
  std::uint64_t epoch_ = 0;
  std::uint64_t seen_number_ = 0;
  std::int64_t heartbeat_ms_ = 3'000;
  std::int64_t heartbeat_said_ms_ = 0;
  fleetpb::Position said_at_;
  static constexpr int kFullCharge = 2'000;  ///< in moves that were told
  int charge_ = kFullCharge;

  std::uint64_t sequence_ = 0;
  std::deque<fleetpb::FromRobot> unanswered_;
  std::int64_t said_ms_ = 0;  ///< the last report

  struct LateAck {
    std::int64_t at_ms;
    std::uint64_t number;
    std::uint64_t epoch;
  };
  std::vector<LateAck> late_acks_;

  std::optional<fleetpb::Offer> list_;
  Stage stage_ = Stage::kResting;
  Place destination_ = Place::kParking;
  std::string location_;
  std::int64_t picked_at_ms_ = 0;
  std::int64_t refused_ms_ = 0;
  std::int64_t broken_until_ms_ = 0;

  std::vector<fleetpb::FromRobot> out_;
};

}  // namespace mallbots::bots
