// Bot: a robot as the depot knows it. A row in the depot's database, with a version; pure rules,
// any thread.
//
//   offline ── come_online ──▶ idle ── take_list ──▶ active ── finish_list ──▶ idle
//      ▲                         └───────────────────┬─┘
//      └── go_offline (stream lost, three heartbeats missed)
//
// Each accepted stream raises the epoch; whatever carries an older one is refused (kConflict), so
// that a robot that connects twice cannot act twice. A robot that comes back with its list still in
// hand is active at once. Refusals: kUnknown, kConflict, kWrongState.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "services/runtime/refusal.h"

namespace mallbots::depot {

enum class BotStatus : std::uint8_t { kOffline, kIdle, kActive };
[[nodiscard]] std::string_view name_of(BotStatus status) noexcept;

struct BotCameOnline {
  std::string name;
  std::uint64_t epoch = 0;
};
struct BotActivated {
  std::string list_id;
};
struct BotIdled {};
struct BotWentOffline {};
using BotEvent = std::variant<BotCameOnline, BotActivated, BotIdled, BotWentOffline>;

struct Bot {
  std::string id;
  std::string name;
  BotStatus status = BotStatus::kOffline;
  std::uint64_t epoch = 0;
  std::string list_id;  ///< in hand, also while offline until the list is taken away

  void apply(const BotEvent& event);
};

using BotDecision = Decision<std::vector<BotEvent>>;

/// A stream said hello: epoch + 1, whatever the robot was before. `has_list`: its list still waits
/// for it.
[[nodiscard]] BotDecision come_online(const Bot& bot, std::string_view name, bool has_list);
/// kConflict: not the epoch of the robot's last stream.
[[nodiscard]] Decision<void> check_epoch(const Bot& bot, std::uint64_t epoch);
[[nodiscard]] BotDecision take_list(const Bot& bot, std::string_view list_id);
/// Completed, declined, taken away, or canceled with the cargo emptied. Nothing happens if the
/// robot has another list, or none.
[[nodiscard]] BotDecision finish_list(const Bot& bot, std::string_view list_id);
/// Of an older epoch: nothing happens, the robot is connected anew.
[[nodiscard]] BotDecision go_offline(const Bot& bot, std::uint64_t epoch);

}  // namespace mallbots::depot
