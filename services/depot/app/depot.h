// Depot: the application of the context. Shopping lists, robots, who fetches what, the count.
//
//   saga    CreateShoppingList, InitiateShopping, CancelShoppingList
//   robot   hello -> (offer: ShoppingListAssigned) -> started -> at a store, items ... -> at the
//           depot; decline; every report with the epoch of its hello
//   staff   take_inventory
//   time    tick(): offers nobody answered, robots that went silent, lists of robots that stay away
//
// Whenever a list becomes available or a robot idle, lists are given to robots in the same
// transaction, oldest list to the robot idle longest.
//
// Who calls: the fleet gateway and the staff's (each call its own transaction), the router (in the
// message's), a timer for tick(); any thread. A completed call survives a power cut, and its events
// will be published (Outbox). Failures: the domain's refusals; errors of the database.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "clients/toolkit/clock.h"
#include "services/depot/contract.h"
#include "services/depot/domain/bot.h"
#include "services/depot/domain/shopping_list.h"
#include "services/orders/contract.h"
#include "services/runtime/page.h"
#include "services/runtime/unit.h"

namespace mallbots::depot {

struct DepotOptions {
  std::int64_t offer_ms = 10'000;     ///< until an offer goes to another robot
  std::int64_t heartbeat_ms = 3'000;  ///< a robot silent for three of them is offline
  std::int64_t stranded_ms = 60'000;  ///< a robot offline for so long loses its list
};

class Depot {
 public:
  /// Makes the tables if they are not there. The clock lives longer.
  [[nodiscard]] static Result<std::unique_ptr<Depot>> open(Units units, toolkit::Clock& clock,
                                                           const DepotOptions& options = {});

  // --- Robots. kConflict: the robot has connected anew, this connection is over.

  struct Welcome {
    std::uint64_t epoch = 0;
    std::string list_id;              ///< in hand: go on with it; empty: wait for an offer
    std::uint64_t last_sequence = 0;  ///< of the last report that was answered
  };
  [[nodiscard]] Outcome<Welcome> hello(std::string_view bot_id, std::string_view name);
  struct Reporter {
    std::string_view bot_id;
    std::uint64_t epoch = 0;
    std::string_view list_id;
    /// The robot's number of this report, rising by one. One that comes again gets the answer that
    /// it got, yes or no, and changes nothing; one older than the last 64 is kInvalid. 0: none.
    std::uint64_t sequence = 0;
  };
  [[nodiscard]] Outcome<void> accepted(const Reporter& who);
  /// Of a list that was taken back meanwhile: done already; what the robot has now it keeps.
  [[nodiscard]] Outcome<void> decline(const Reporter& who);
  [[nodiscard]] Outcome<void> started(const Reporter& who);
  [[nodiscard]] Outcome<void> arrived_at_store(const Reporter& who, std::string_view store_id);
  [[nodiscard]] Outcome<void> items_picked(const Reporter& who, std::string_view store_id,
                                           std::span<const ItemReport> items);
  [[nodiscard]] Outcome<void> arrived_at_depot(const Reporter& who);
  /// The cargo of a canceled list is emptied: the robot is idle again.
  [[nodiscard]] Outcome<void> emptied(const Reporter& who);
  [[nodiscard]] Outcome<void> heartbeat(std::string_view bot_id, std::uint64_t epoch);
  struct Connection {
    std::string bot_id;
    std::uint64_t epoch = 0;
  };
  /// Of many robots in one transaction; gives those that are over.
  [[nodiscard]] Outcome<std::vector<Connection>> heartbeats(std::span<const Connection> heard);
  [[nodiscard]] Outcome<void> stream_ended(std::string_view bot_id, std::uint64_t epoch);

  // --- Staff

  [[nodiscard]] Outcome<void> take_inventory(std::string_view list_id,
                                             std::span<const ItemCount> counted,
                                             const toolkit::Cause& cause = {});

  // --- Time. What is due now.

  [[nodiscard]] Outcome<void> tick();

  // --- Commands and events, in the message's transaction

  [[nodiscard]] std::expected<depotapi::CreatedShoppingList, toolkit::HandlerFailure> create(
      toolkit::Context& context, const depotapi::CreateShoppingList& command);
  [[nodiscard]] toolkit::Handled initiate(toolkit::Context& context,
                                          const depotapi::InitiateShopping& command);
  [[nodiscard]] toolkit::Handled cancel(toolkit::Context& context,
                                        const depotapi::CancelShoppingList& command);
  [[nodiscard]] toolkit::Handled on_order_canceled(toolkit::Context& context,
                                                   const ordersapi::OrderCanceled& event);

  [[nodiscard]] Outcome<ShoppingList> list(std::string_view id);
  [[nodiscard]] Outcome<Bot> bot(std::string_view id);
  /// Oldest first; a name of a status or phase, empty: all. kInvalid: no such status or phase.
  struct ListFilter {
    std::string_view status;
    std::string_view phase;
  };
  [[nodiscard]] Outcome<Page<ShoppingList>> lists(const ListFilter& filter,
                                                  const PageRequest& page) const;
  /// By id; up to 1,000 at once.
  [[nodiscard]] Outcome<Page<Bot>> bots(const PageRequest& page) const;
  [[nodiscard]] const DepotOptions& options() const noexcept { return options_; }

 private:
  Depot(Units units, toolkit::Clock& clock, const DepotOptions& options) noexcept
      : units_(units), clock_(&clock), options_(options) {}

  template <class Decide>
  [[nodiscard]] Outcome<void> report(const Reporter& who, const Decide& decide);
  [[nodiscard]] Outcome<void> carry_out(Unit& unit, ShoppingList& list,
                                        const ListDecision& decision);
  [[nodiscard]] Outcome<void> carry_out(Unit& unit, Bot& bot, const BotDecision& decision);
  [[nodiscard]] Outcome<void> schedule(Unit& unit);
  [[nodiscard]] toolkit::Handled refuse_list(Unit& unit,
                                             const depotapi::CancelShoppingList& command);
  [[nodiscard]] Outcome<void> free_bot(Unit& unit, std::string_view bot_id,
                                       std::string_view list_id);

  Units units_;
  toolkit::Clock* clock_;
  DepotOptions options_;
};

}  // namespace mallbots::depot
