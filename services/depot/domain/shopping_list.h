// ShoppingList: what one robot fetches for one order, stop by stop. A row in the depot's database,
// with a version; pure rules, any thread.
//
//   pending ── initiate ──▶ available ── assign ──▶ assigned ── start ──▶ active
//                               ▲ decline, no answer   │                    │ shopping, then
//                               └──────────────────────┘                    │ returning, then
//                               ▲ robot gone for too long: remaining stops  │ at depot
//                               └───────────────────────────────────────────┤
//   any before completed ── cancel ──▶ canceled              inventory ◀────┘──▶ completed
//
// One robot at a time: every report names the robot, one that does not have the list is refused
// (kForbidden). A report repeated in the state that it leads to succeeds without an event. A robot
// whose list went to another one keeps its cargo: what it had picked stays picked in `done` stops,
// and is counted when it comes in. Refusals: kInvalid (unknown store or product, more than was
// asked), kUnknown (no such list), kForbidden, kWrongState.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "services/runtime/refusal.h"

namespace mallbots::depot {

enum class ListStatus : std::uint8_t {
  kNone,
  kPending,
  kAvailable,
  kAssigned,
  kActive,
  kCompleted,
  kCanceled,
};
inline constexpr std::size_t kListStatuses = 7;

/// Where the robot is in an active list.
enum class Phase : std::uint8_t { kShopping, kReturning, kAtDepot };

[[nodiscard]] std::string_view name_of(ListStatus status) noexcept;
[[nodiscard]] std::string_view name_of(Phase phase) noexcept;

struct WantedItem {
  std::string product_id;
  std::string product_name;
  std::uint32_t quantity = 0;
  std::uint32_t picked = 0;  ///< picked + unavailable = quantity once the stop is done
};

struct Stop {
  enum class State : std::uint8_t { kWaiting, kArrived, kDone };

  std::string store_id;
  std::string store_name;
  std::string store_location;
  State state = State::kWaiting;
  std::vector<WantedItem> items;
};

struct ItemReport {
  std::string product_id;
  std::uint32_t picked = 0;
  std::uint32_t unavailable = 0;
};

struct ItemCount {
  std::string product_id;
  std::uint32_t quantity = 0;
  friend bool operator==(const ItemCount&, const ItemCount&) = default;
};

struct ListCreated {
  std::string order_id;
  std::vector<Stop> stops;
};
struct ListAvailable {};  ///< initiated, declined or taken back
struct ListAssigned {
  std::string bot_id;
};
struct ShoppingStarted {};
struct BotArrivedAtStore {
  std::string store_id;
};
struct ItemsPicked {
  std::string store_id;
  std::vector<ItemReport> items;
};
struct ShoppingFinished {};
struct BotArrivedAtDepot {};
struct ShoppingStranded {  ///< the robot went silent with the list in hand
  std::string bot_id;
};
struct ListInventoried {
  std::vector<ItemCount> items;
};
struct ListCompleted {
  std::vector<ItemCount> items;  ///< by product, as the staff counted
};
struct ListCanceled {
  std::string reason;
  std::string bot_id;  ///< who has to bring cargo back; empty: nobody
};
using ListEvent = std::variant<ListCreated, ListAvailable, ListAssigned, ShoppingStarted,
                               BotArrivedAtStore, ItemsPicked, ShoppingFinished, BotArrivedAtDepot,
                               ShoppingStranded, ListInventoried, ListCompleted, ListCanceled>;

struct ShoppingList {
  std::string id;
  std::string order_id;
  ListStatus status = ListStatus::kNone;
  Phase phase = Phase::kShopping;  ///< counts while active
  std::string bot_id;              ///< while assigned or active
  std::vector<Stop> stops;
  std::vector<ItemCount> counted;  ///< once completed

  void apply(const ListEvent& event);
  [[nodiscard]] const Stop* stop_at(std::string_view store_id) const noexcept;
  [[nodiscard]] bool all_stops_done() const noexcept;
};

using ListDecision = Decision<std::vector<ListEvent>>;

/// One item of the order and where to get it.
struct OrderedItem {
  std::string store_id;
  std::string store_name;
  std::string store_location;
  std::string product_id;
  std::string product_name;
  std::uint32_t quantity = 0;
};

/// One stop a store, in the order of the items; quantities of one product add up.
[[nodiscard]] ListDecision create(const ShoppingList& list, std::string_view order_id,
                                  std::span<const OrderedItem> items);
[[nodiscard]] ListDecision initiate(const ShoppingList& list);
[[nodiscard]] ListDecision assign(const ShoppingList& list, std::string_view bot_id);
/// The robot declines, or did not answer the offer in time: back to the queue.
[[nodiscard]] ListDecision give_back(const ShoppingList& list, std::string_view bot_id);
/// The robot has understood the offer: nothing happens until it starts.
[[nodiscard]] ListDecision accept(const ShoppingList& list, std::string_view bot_id);
[[nodiscard]] ListDecision start(const ShoppingList& list, std::string_view bot_id);
[[nodiscard]] ListDecision arrive_at_store(const ShoppingList& list, std::string_view bot_id,
                                           std::string_view store_id);
/// All items of the stop, each with picked + unavailable = quantity; the last stop also finishes.
[[nodiscard]] ListDecision report_items(const ShoppingList& list, std::string_view bot_id,
                                        std::string_view store_id,
                                        std::span<const ItemReport> items);
[[nodiscard]] ListDecision arrive_at_depot(const ShoppingList& list, std::string_view bot_id);
/// The robot has been offline for longer than the grace time.
[[nodiscard]] ListDecision strand(const ShoppingList& list, std::string_view bot_id);
/// The staff's count: products of the list, each once and no more than was wanted; those left out
/// were not there.
[[nodiscard]] ListDecision take_inventory(const ShoppingList& list,
                                          std::span<const ItemCount> counted);
[[nodiscard]] ListDecision cancel(const ShoppingList& list, std::string_view reason);

}  // namespace mallbots::depot
