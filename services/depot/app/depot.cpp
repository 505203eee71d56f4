#include "services/depot/app/depot.h"

#include <fmt/format.h>

#include <charconv>

#include "services/depot/app/rows.h"

namespace mallbots::depot {
namespace {

using toolkit::Context;
using toolkit::Handled;

template <class Message>
Message about(const ShoppingList& list) {
  Message message;
  message.set_id(list.id);
  if constexpr (requires { message.set_order_id(list.order_id); }) {
    message.set_order_id(list.order_id);
  }
  if constexpr (requires { message.set_bot_id(list.bot_id); }) message.set_bot_id(list.bot_id);
  return message;
}

depotapi::Count count_of(std::string_view product_id, std::uint32_t quantity) {
  depotapi::Count count;
  count.set_product_id(std::string(product_id));
  count.set_quantity(static_cast<std::int32_t>(quantity));
  return count;
}

/// What others hear of it. `list` is as it was before the event: who had it is still known.
struct TellList {
  Unit& unit;
  const ShoppingList& list;
  toolkit::TopicNames names = topic_names();

  Result<void> operator()(const ListCreated&) const { return {}; }  // the reply says so
  Result<void> operator()(const ListAvailable&) const {
    return unit.tell(names, about<depotapi::ShoppingListAvailable>(list));
  }
  Result<void> operator()(const ListAssigned& assigned) const {
    auto message = about<depotapi::ShoppingListAssigned>(list);
    message.set_bot_id(assigned.bot_id);
    return unit.tell(names, message);
  }
  Result<void> operator()(const ShoppingStarted&) const {
    return unit.tell(names, about<depotapi::ShoppingStarted>(list));
  }
  Result<void> operator()(const BotArrivedAtStore& arrived) const {
    auto message = about<depotapi::BotArrivedAtStore>(list);
    message.set_store_id(arrived.store_id);
    return unit.tell(names, message);
  }
  Result<void> operator()(const ItemsPicked& picked) const {
    auto message = about<depotapi::ItemsPickedUp>(list);
    message.set_store_id(picked.store_id);
    for (const ItemReport& item : picked.items) {
      *message.add_picked() = count_of(item.product_id, item.picked);
      if (item.unavailable == 0) continue;
      *message.add_unavailable() = count_of(item.product_id, item.unavailable);
    }
    return unit.tell(names, message);
  }
  Result<void> operator()(const ShoppingFinished&) const {
    return unit.tell(names, about<depotapi::ShoppingFinished>(list));
  }
  Result<void> operator()(const BotArrivedAtDepot&) const {
    return unit.tell(names, about<depotapi::BotArrivedAtDepot>(list));
  }
  Result<void> operator()(const ShoppingStranded&) const {
    return unit.tell(names, about<depotapi::ShoppingStranded>(list));
  }
  Result<void> operator()(const ListInventoried&) const { return {}; }  // its completion says so
  Result<void> operator()(const ListCompleted& completed) const {
    auto message = about<depotapi::ShoppingListCompleted>(list);
    for (const ItemCount& item : completed.items) {
      *message.add_items() = count_of(item.product_id, item.quantity);
    }
    return unit.tell(names, message);
  }
  Result<void> operator()(const ListCanceled& canceled) const {
    auto message = about<depotapi::ShoppingListCanceled>(list);
    message.set_bot_id(canceled.bot_id);
    return unit.tell(names, message);
  }
};

struct TellBot {
  Unit& unit;
  const Bot& bot;
  toolkit::TopicNames names = topic_names();

  template <class Message>
  [[nodiscard]] Message about_bot() const {
    Message message;
    message.set_id(bot.id);
    return message;
  }
  Result<void> operator()(const BotCameOnline& online) const {
    auto message = about_bot<depotapi::BotCameOnline>();
    message.set_name(online.name);
    message.set_epoch(online.epoch);
    return unit.tell(names, message);
  }
  Result<void> operator()(const BotActivated& activated) const {
    auto message = about_bot<depotapi::BotActivated>();
    message.set_list_id(activated.list_id);
    return unit.tell(names, message);
  }
  Result<void> operator()(const BotIdled&) const {
    return unit.tell(names, about_bot<depotapi::BotIdled>());
  }
  Result<void> operator()(const BotWentOffline&) const {
    return unit.tell(names, about_bot<depotapi::BotWentOffline>());
  }
};

Handled handled(const Outcome<void>& outcome) {
  if (!outcome) return std::unexpected(as_handler_failure(outcome.error()));
  return {};
}

/// Does the robot still have to do with that list?
bool is_in_hand(const ShoppingList& list, const Bot& bot) {
  const bool is_canceled = list.status == ListStatus::kCanceled;  // its cargo has to come back
  return !bot.list_id.empty() && (list.bot_id == bot.id || is_canceled);
}

/// What a robot reports it did itself.
toolkit::Cause from_bot(std::string_view bot_id) {
  return {.actor = fmt::format("bot:{}", bot_id)};
}

constexpr std::size_t kPhases = 3;

/// -1: any.
template <class Named>
Decision<int> number_of(std::string_view what, std::string_view name, std::size_t count) {
  if (name.empty()) return -1;
  for (std::size_t number = 0; number < count; ++number)
    if (name_of(static_cast<Named>(number)) == name) return static_cast<int>(number);
  return refuse(RefusalKind::kInvalid, fmt::format("a list has no {} '{}'", what, name));
}

}  // namespace

Result<std::unique_ptr<Depot>> Depot::open(Units units, toolkit::Clock& clock,
                                           const DepotOptions& options) {
  MALLBOTS_TRY(units.database().ensure(kSchema));
  return std::unique_ptr<Depot>(new Depot(units, clock, options));
}

Outcome<Page<ShoppingList>> Depot::lists(const ListFilter& filter, const PageRequest& page) const {
  MALLBOTS_OUTCOME(limit, page_size(page.limit));
  MALLBOTS_OUTCOME(after, read_cursor(page.cursor, 2));
  MALLBOTS_OUTCOME(status, number_of<ListStatus>("status", filter.status, kListStatuses));
  MALLBOTS_OUTCOME(phase, number_of<Phase>("phase", filter.phase, kPhases));
  ListQuery query{
      .status = *status, .phase = *phase, .after_id = after->at(1), .limit = *limit + 1};
  const std::string& time = after->at(0);
  std::from_chars(time.data(), time.data() + time.size(), query.after_ms);
  MALLBOTS_OUTCOME(found, read_lists(units_.database(), query));
  Page<ShoppingList> lists;
  const bool is_more = static_cast<std::int64_t>(found->size()) > *limit;
  if (is_more) {
    found->pop_back();
    lists.next = make_cursor({std::to_string(found->back().created_ms), found->back().list.id});
  }
  for (DatedList& one : *found) lists.items.push_back(std::move(one.list));
  return lists;
}

Outcome<Page<Bot>> Depot::bots(const PageRequest& page) const {
  MALLBOTS_OUTCOME(limit, page_size(page.limit, {.usual = 200, .most = 1'000}));
  MALLBOTS_OUTCOME(after, read_cursor(page.cursor, 1));
  MALLBOTS_OUTCOME(found, read_bots(units_.database(), after->front(), *limit + 1));
  Page<Bot> bots{*std::move(found), {}};
  if (static_cast<std::int64_t>(bots.items.size()) > *limit) {
    bots.items.pop_back();
    bots.next = make_cursor({bots.items.back().id});
  }
  return bots;
}

Outcome<void> Depot::carry_out(Unit& unit, ShoppingList& list, const ListDecision& decision) {
  if (!decision) return std::unexpected(decision.error());
  for (const ListEvent& event : *decision) {
    MALLBOTS_OUTCOME(told, std::visit(TellList{unit, list}, event));
    list.apply(event);
  }
  if (decision->empty()) return {};
  return save_list(unit.transaction, list, clock_->wall_ms());
}

Outcome<void> Depot::carry_out(Unit& unit, Bot& bot, const BotDecision& decision) {
  if (!decision) return std::unexpected(decision.error());
  for (const BotEvent& event : *decision) {
    MALLBOTS_OUTCOME(told, std::visit(TellBot{unit, bot}, event));
    bot.apply(event);
  }
  if (decision->empty()) return {};
  return save_bot(unit.transaction, bot, clock_->wall_ms());
}

Outcome<void> Depot::schedule(Unit& unit) {
  for (;;) {
    MALLBOTS_OUTCOME(lists, waiting_lists(unit.transaction));
    MALLBOTS_OUTCOME(bots, waiting_bots(unit.transaction));
    const auto match = next_match(*lists, *bots);
    if (!match) return {};
    MALLBOTS_OUTCOME(list, load_list(unit.transaction, match->list_id));
    MALLBOTS_OUTCOME(bot, load_bot(unit.transaction, match->bot_id));
    MALLBOTS_OUTCOME(assigned, carry_out(unit, *list, assign(*list, bot->id)));
    MALLBOTS_OUTCOME(taken, carry_out(unit, *bot, take_list(*bot, list->id)));
  }
}

Outcome<void> Depot::free_bot(Unit& unit, std::string_view bot_id, std::string_view list_id) {
  MALLBOTS_OUTCOME(bot, load_bot(unit.transaction, bot_id));
  MALLBOTS_OUTCOME(freed, carry_out(unit, *bot, finish_list(*bot, list_id)));
  return schedule(unit);
}

// --- Robots

Outcome<Depot::Welcome> Depot::hello(std::string_view bot_id, std::string_view name) {
  return units_.run(from_bot(bot_id), [&](Unit& unit) -> Outcome<Welcome> {
    MALLBOTS_OUTCOME(bot, load_bot(unit.transaction, bot_id));
    MALLBOTS_OUTCOME(list, load_list(unit.transaction, bot->list_id));
    MALLBOTS_OUTCOME(online,
                     carry_out(unit, *bot, come_online(*bot, name, is_in_hand(*list, *bot))));
    MALLBOTS_OUTCOME(scheduled, schedule(unit));
    MALLBOTS_OUTCOME(now, load_bot(unit.transaction, bot_id));
    MALLBOTS_OUTCOME(last, last_sequence(unit.transaction, bot_id));
    return Welcome{now->epoch, now->list_id, *last};
  });
}

template <class Decide>
Outcome<void> Depot::report(const Reporter& who, const Decide& decide) {
  // A refusal is kept, too, so it is a value here: the transaction commits.
  const auto answer = units_.run(from_bot(who.bot_id), [&](Unit& unit) -> Outcome<Decision<void>> {
    MALLBOTS_OUTCOME(bot, load_bot(unit.transaction, who.bot_id));
    MALLBOTS_OUTCOME(is_current, check_epoch(*bot, who.epoch));
    MALLBOTS_OUTCOME(known, find_answer(unit.transaction, who.bot_id, who.sequence));
    if (*known) return std::move(**known);
    MALLBOTS_OUTCOME(heard, note_heard(unit.transaction, who.bot_id, clock_->wall_ms()));
    MALLBOTS_OUTCOME(list, load_list(unit.transaction, who.list_id));
    // What a rule refuses it refuses before anything is written.
    const Outcome<void> outcome = decide(unit, *list, *bot);
    Decision<void> said;
    if (!outcome) {
      const auto* refusal = std::get_if<Refusal>(&outcome.error());
      if (refusal == nullptr || who.sequence == 0) return std::unexpected(outcome.error());
      said = std::unexpected(*refusal);
    }
    MALLBOTS_OUTCOME(kept, keep_answer(unit.transaction, who.bot_id, who.sequence, said));
    return said;
  });
  if (!answer) return std::unexpected(answer.error());
  if (!*answer) return std::unexpected(answer->error());
  return {};
}

Outcome<void> Depot::accepted(const Reporter& who) {
  return report(who, [&](Unit& unit, ShoppingList& list, Bot&) {
    return carry_out(unit, list, accept(list, who.bot_id));
  });
}

Outcome<void> Depot::decline(const Reporter& who) {
  return report(who, [&](Unit& unit, ShoppingList& list, Bot&) -> Outcome<void> {
    MALLBOTS_OUTCOME(back, carry_out(unit, list, give_back(list, who.bot_id)));
    return free_bot(unit, who.bot_id, who.list_id);
  });
}

Outcome<void> Depot::started(const Reporter& who) {
  return report(who, [&](Unit& unit, ShoppingList& list, Bot&) {
    return carry_out(unit, list, start(list, who.bot_id));
  });
}

Outcome<void> Depot::arrived_at_store(const Reporter& who, std::string_view store_id) {
  return report(who, [&](Unit& unit, ShoppingList& list, Bot&) {
    return carry_out(unit, list, arrive_at_store(list, who.bot_id, store_id));
  });
}

Outcome<void> Depot::items_picked(const Reporter& who, std::string_view store_id,
                                  std::span<const ItemReport> items) {
  return report(who, [&](Unit& unit, ShoppingList& list, Bot&) {
    return carry_out(unit, list, report_items(list, who.bot_id, store_id, items));
  });
}

Outcome<void> Depot::arrived_at_depot(const Reporter& who) {
  return report(who, [&](Unit& unit, ShoppingList& list, Bot&) {
    return carry_out(unit, list, arrive_at_depot(list, who.bot_id));
  });
}

Outcome<void> Depot::emptied(const Reporter& who) {
  return report(who, [&](Unit& unit, ShoppingList& list, Bot& bot) -> Outcome<void> {
    if (bot.list_id != who.list_id) return {};  // said before
    if (list.status != ListStatus::kCanceled) {
      return std::unexpected(
          Refusal{RefusalKind::kWrongState, "the list was not canceled: bring it to the depot"});
    }
    return free_bot(unit, who.bot_id, who.list_id);
  });
}

Outcome<void> Depot::heartbeat(std::string_view bot_id, std::uint64_t epoch) {
  return report({bot_id, epoch, {}},
                [](Unit&, ShoppingList&, Bot&) -> Outcome<void> { return {}; });
}

Outcome<std::vector<Depot::Connection>> Depot::heartbeats(std::span<const Connection> heard) {
  const UnixMillis now = clock_->wall_ms();
  return units_.run({}, [&](Unit& unit) -> Outcome<std::vector<Connection>> {
    std::vector<Connection> over;
    for (const Connection& connection : heard) {
      MALLBOTS_OUTCOME(bot, load_bot(unit.transaction, connection.bot_id));
      if (!check_epoch(*bot, connection.epoch)) {
        over.push_back(connection);
        continue;
      }
      MALLBOTS_OUTCOME(noted, note_heard(unit.transaction, connection.bot_id, now));
    }
    return over;
  });
}

Outcome<void> Depot::stream_ended(std::string_view bot_id, std::uint64_t epoch) {
  return units_.run(from_bot(bot_id), [&](Unit& unit) -> Outcome<void> {
    MALLBOTS_OUTCOME(bot, load_bot(unit.transaction, bot_id));
    return carry_out(unit, *bot, go_offline(*bot, epoch));
  });
}

// --- Staff

Outcome<void> Depot::take_inventory(std::string_view list_id, std::span<const ItemCount> counted,
                                    const toolkit::Cause& cause) {
  return units_.run(cause, [&](Unit& unit) -> Outcome<void> {
    MALLBOTS_OUTCOME(list, load_list(unit.transaction, list_id));
    const std::string bot_id = list->bot_id;
    MALLBOTS_OUTCOME(done, carry_out(unit, *list, depot::take_inventory(*list, counted)));
    if (bot_id.empty()) return {};
    return free_bot(unit, bot_id, list_id);
  });
}

// --- Time

Outcome<void> Depot::tick() {
  const UnixMillis now = clock_->wall_ms();
  return units_.run({.actor = "system"}, [&](Unit& unit) -> Outcome<void> {
    MALLBOTS_OUTCOME(silent, silent_bots(unit.transaction, now - 3 * options_.heartbeat_ms));
    for (Bot& bot : *silent) {
      MALLBOTS_OUTCOME(gone, carry_out(unit, bot, go_offline(bot, bot.epoch)));
    }
    MALLBOTS_OUTCOME(unanswered, unanswered_offers(unit.transaction, now - options_.offer_ms));
    for (ShoppingList& list : *unanswered) {
      const std::string bot_id = list.bot_id;
      MALLBOTS_OUTCOME(back, carry_out(unit, list, give_back(list, bot_id)));
      MALLBOTS_OUTCOME(bot, load_bot(unit.transaction, bot_id));
      MALLBOTS_OUTCOME(freed, carry_out(unit, *bot, finish_list(*bot, list.id)));
    }
    MALLBOTS_OUTCOME(lost, lost_bots(unit.transaction, now - options_.stranded_ms));
    for (Bot& bot : *lost) {
      MALLBOTS_OUTCOME(list, load_list(unit.transaction, bot.list_id));
      const ListDecision decision = strand(*list, bot.id);
      if (!decision || decision->empty()) continue;  // at the depot, or another's already
      MALLBOTS_OUTCOME(stranded, carry_out(unit, *list, decision));
      MALLBOTS_OUTCOME(freed, carry_out(unit, bot, finish_list(bot, list->id)));
    }
    return schedule(unit);
  });
}

// --- Commands and events

std::expected<depotapi::CreatedShoppingList, toolkit::HandlerFailure> Depot::create(
    Context& context, const depotapi::CreateShoppingList& command) {
  Unit unit = units_.of(context);
  std::vector<OrderedItem> items;
  for (const depotapi::Item& item : command.items()) {
    // A negative quantity from the wire is refused as none.
    const auto quantity = static_cast<std::uint32_t>(std::max(item.quantity(), 0));
    items.push_back({item.store_id(), item.store_name(), item.store_location(), item.product_id(),
                     item.product_name(), quantity});
  }
  auto list = load_list_of_order(unit.transaction, command.order_id());
  if (!list) return std::unexpected(as_handler_failure(list.error()));
  const ListDecision decision = depot::create(*list, command.order_id(), items);
  if (list->id.empty()) list->id = toolkit::new_message_id();
  const auto done = carry_out(unit, *list, decision);
  if (!done) return std::unexpected(as_handler_failure(done.error()));
  depotapi::CreatedShoppingList answer;
  answer.set_id(list->id);
  return answer;
}

Handled Depot::initiate(Context& context, const depotapi::InitiateShopping& command) {
  Unit unit = units_.of(context);
  auto list = load_list(unit.transaction, command.id());
  if (!list) return std::unexpected(as_handler_failure(list.error()));
  const auto done = carry_out(unit, *list, depot::initiate(*list));
  if (!done) return handled(done);
  return handled(schedule(unit));
}

/// Nobody asked for the order's list yet: when somebody does, it is canceled already.
Handled Depot::refuse_list(Unit& unit, const depotapi::CancelShoppingList& command) {
  ShoppingList none;
  none.id = toolkit::new_message_id();
  none.order_id = command.order_id();
  none.apply(ListCanceled{command.reason(), {}});
  return handled(save_list(unit.transaction, none, clock_->wall_ms()));
}

Handled Depot::cancel(Context& context, const depotapi::CancelShoppingList& command) {
  Unit unit = units_.of(context);
  auto list = command.id().empty() ? load_list_of_order(unit.transaction, command.order_id())
                                   : load_list(unit.transaction, command.id());
  if (!list) return std::unexpected(as_handler_failure(list.error()));
  if (command.id().empty() && list->id.empty()) return refuse_list(unit, command);
  // A robot that has not begun has nothing to bring back.
  const std::string idle_bot = list->status == ListStatus::kAssigned ? list->bot_id : "";
  const auto done = carry_out(unit, *list, depot::cancel(*list, command.reason()));
  if (!done || idle_bot.empty()) return handled(done);
  return handled(free_bot(unit, idle_bot, list->id));
}

Handled Depot::on_order_canceled(Context& context, const ordersapi::OrderCanceled& event) {
  // Cancelled before it was approved: the saga cancels the list.
  if (event.shopping_id().empty()) return {};
  depotapi::CancelShoppingList command;
  command.set_id(event.shopping_id());
  command.set_reason(event.reason());
  Handled done = cancel(context, command);
  // Counted already: the items are here, and the staff puts them back.
  if (!done && done.error().type == "Refused") return {};
  return done;
}

Outcome<ShoppingList> Depot::list(std::string_view id) {
  return units_.run({}, [&](Unit& unit) -> Outcome<ShoppingList> {
    auto found = load_list(unit.transaction, id);
    if (found && found->status == ListStatus::kNone) {
      return std::unexpected(Refusal{RefusalKind::kUnknown, "there is no such shopping list"});
    }
    return found;
  });
}

Outcome<Bot> Depot::bot(std::string_view id) {
  return units_.run({}, [&](Unit& unit) -> Outcome<Bot> {
    auto found = load_bot(unit.transaction, id);
    if (found && found->epoch == 0) {
      return std::unexpected(Refusal{RefusalKind::kUnknown, "there is no such robot"});
    }
    return found;
  });
}

}  // namespace mallbots::depot
