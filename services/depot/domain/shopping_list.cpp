#include "services/depot/domain/shopping_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "services/runtime/text.h"

namespace mallbots::depot {
namespace {

using Events = std::vector<ListEvent>;
using enum ListStatus;

std::unexpected<Refusal> not_now(const ShoppingList& list, std::string_view what) {
  if (list.status == kNone) return refuse(RefusalKind::kUnknown, "there is no such shopping list");
  const std::string_view state =
      list.status == kActive ? name_of(list.phase) : name_of(list.status);
  return refuse(RefusalKind::kWrongState,
                fmt::format("the shopping list is {}: it cannot be {}", state, what));
}

Decision<void> is_in_hand_of(const ShoppingList& list, std::string_view bot_id) {
  const bool is_in_hand = list.status == kAssigned || list.status == kActive;
  if (is_in_hand && list.bot_id == bot_id) return {};
  if (list.status == kNone) return refuse(RefusalKind::kUnknown, "there is no such shopping list");
  return refuse(RefusalKind::kForbidden, fmt::format("robot '{}' does not have this list", bot_id));
}

template <class Stops>
auto find_stop(Stops& stops, std::string_view store_id) {
  return std::ranges::find(stops, store_id, &Stop::store_id);
}

bool same_items(const Stop& stop, std::span<const ItemReport> items) {
  return std::ranges::all_of(stop.items, [&](const WantedItem& wanted) {
    const auto at = std::ranges::find(items, wanted.product_id, &ItemReport::product_id);
    return at != items.end() && at->picked == wanted.picked;
  });
}

/// Every item of the stop once, and its numbers add up.
Decision<void> covers(const Stop& stop, std::span<const ItemReport> items) {
  if (items.size() != stop.items.size()) {
    return refuse(RefusalKind::kInvalid, fmt::format("{} items are reported, the stop has {}",
                                                     items.size(), stop.items.size()));
  }
  for (const WantedItem& wanted : stop.items) {
    const auto at = std::ranges::find(items, wanted.product_id, &ItemReport::product_id);
    if (at == items.end()) {
      return refuse(RefusalKind::kInvalid,
                    fmt::format("nothing is said of '{}'", wanted.product_name));
    }
    if (std::uint64_t{at->picked} + at->unavailable != wanted.quantity) {
      return refuse(RefusalKind::kInvalid,
                    fmt::format("{} picked and {} unavailable of '{}' do not make {}", at->picked,
                                at->unavailable, wanted.product_name, wanted.quantity));
    }
  }
  return {};
}

std::uint32_t wanted_of(const ShoppingList& list, std::string_view product_id) {
  std::uint32_t sum = 0;
  for (const Stop& stop : list.stops) {
    for (const WantedItem& item : stop.items) {
      if (item.product_id == product_id) sum += item.quantity;
    }
  }
  return sum;
}

}  // namespace

std::string_view name_of(ListStatus status) noexcept {
  static constexpr std::array<std::string_view, kListStatuses> kNames = {
      "none", "pending", "available", "assigned", "active", "completed", "canceled"};
  return kNames[static_cast<std::size_t>(status)];
}

std::string_view name_of(Phase phase) noexcept {
  static constexpr std::array<std::string_view, 3> kNames = {"shopping", "returning", "at-depot"};
  return kNames[static_cast<std::size_t>(phase)];
}

const Stop* ShoppingList::stop_at(std::string_view store_id) const noexcept {
  const auto at = find_stop(stops, store_id);
  return at == stops.end() ? nullptr : &*at;
}

bool ShoppingList::all_stops_done() const noexcept {
  return std::ranges::all_of(stops,
                             [](const Stop& stop) { return stop.state == Stop::State::kDone; });
}

void ShoppingList::apply(const ListEvent& event) {
  struct {
    ShoppingList& list;
    void operator()(const ListCreated& created) const {
      list.status = kPending;
      list.order_id = created.order_id;
      list.stops = created.stops;
    }
    void operator()(const ListAvailable&) const {
      list.status = kAvailable;
      list.bot_id.clear();
    }
    void operator()(const ListAssigned& assigned) const {
      list.status = kAssigned;
      list.bot_id = assigned.bot_id;
    }
    void operator()(const ShoppingStarted&) const {
      list.status = kActive;
      // What a robot before this one finished stays finished; it may be all.
      list.phase = list.all_stops_done() ? Phase::kReturning : Phase::kShopping;
    }
    void operator()(const BotArrivedAtStore& arrived) const {
      find_stop(list.stops, arrived.store_id)->state = Stop::State::kArrived;
    }
    void operator()(const ItemsPicked& picked) const {
      Stop& stop = *find_stop(list.stops, picked.store_id);
      stop.state = Stop::State::kDone;
      for (WantedItem& item : stop.items) {
        item.picked =
            std::ranges::find(picked.items, item.product_id, &ItemReport::product_id)->picked;
      }
    }
    void operator()(const ShoppingFinished&) const { list.phase = Phase::kReturning; }
    void operator()(const BotArrivedAtDepot&) const { list.phase = Phase::kAtDepot; }
    void operator()(const ShoppingStranded&) const {
      list.status = kAvailable;
      list.bot_id.clear();
      for (Stop& stop : list.stops) {
        if (stop.state == Stop::State::kArrived) stop.state = Stop::State::kWaiting;
      }
    }
    void operator()(const ListInventoried& inventoried) const { list.counted = inventoried.items; }
    void operator()(const ListCompleted&) const {
      list.status = kCompleted;
      list.bot_id.clear();
    }
    void operator()(const ListCanceled&) const {
      list.status = kCanceled;
      list.bot_id.clear();
    }
  } then{*this};
  std::visit(then, event);
}

ListDecision create(const ShoppingList& list, std::string_view order_id,
                    std::span<const OrderedItem> items) {
  if (list.status != kNone && list.order_id == order_id) return Events{};
  if (list.status != kNone) return not_now(list, "created anew");
  auto order = checked_text("the order's id", order_id);
  if (!order) return std::unexpected(order.error());
  std::vector<Stop> stops;
  for (const OrderedItem& item : items) {
    if (item.quantity == 0) {
      return refuse(RefusalKind::kInvalid,
                    fmt::format("none of '{}' is wanted", item.product_name));
    }
    auto stop = find_stop(stops, item.store_id);
    if (stop == stops.end()) {
      stops.push_back({item.store_id, item.store_name, item.store_location, {}, {}});
      stop = std::prev(stops.end());
    }
    const auto same = std::ranges::find(stop->items, item.product_id, &WantedItem::product_id);
    if (same == stop->items.end()) {
      stop->items.push_back({item.product_id, item.product_name, item.quantity, 0});
    } else if (__builtin_add_overflow(same->quantity, item.quantity, &same->quantity)) {
      return refuse(RefusalKind::kInvalid,
                    fmt::format("more of '{}' than a list can count", item.product_name));
    }
  }
  if (stops.empty()) return refuse(RefusalKind::kInvalid, "a shopping list needs an item");
  return Events{ListCreated{*std::move(order), std::move(stops)}};
}

ListDecision initiate(const ShoppingList& list) {
  if (list.status == kPending) return Events{ListAvailable{}};
  const bool is_under_way = list.status >= kAvailable && list.status <= kCompleted;
  if (is_under_way) return Events{};
  return not_now(list, "initiated");
}

ListDecision assign(const ShoppingList& list, std::string_view bot_id) {
  if (list.status == kAssigned && list.bot_id == bot_id) return Events{};
  if (list.status != kAvailable) return not_now(list, "assigned");
  auto bot = checked_text("the robot's id", bot_id);
  if (!bot) return std::unexpected(bot.error());
  return Events{ListAssigned{*std::move(bot)}};
}

ListDecision give_back(const ShoppingList& list, std::string_view bot_id) {
  if (list.status == kAvailable) return Events{};
  if (auto in_hand = is_in_hand_of(list, bot_id); !in_hand) return std::unexpected(in_hand.error());
  if (list.status != kAssigned) return not_now(list, "given back");
  return Events{ListAvailable{}};
}

ListDecision accept(const ShoppingList& list, std::string_view bot_id) {
  if (auto in_hand = is_in_hand_of(list, bot_id); !in_hand) return std::unexpected(in_hand.error());
  return Events{};
}

ListDecision start(const ShoppingList& list, std::string_view bot_id) {
  if (auto in_hand = is_in_hand_of(list, bot_id); !in_hand) return std::unexpected(in_hand.error());
  if (list.status == kActive) return Events{};
  return Events{ShoppingStarted{}};
}

ListDecision arrive_at_store(const ShoppingList& list, std::string_view bot_id,
                             std::string_view store_id) {
  if (auto in_hand = is_in_hand_of(list, bot_id); !in_hand) return std::unexpected(in_hand.error());
  const Stop* stop = list.stop_at(store_id);
  if (stop == nullptr) {
    return refuse(RefusalKind::kInvalid, fmt::format("store '{}' is not on the list", store_id));
  }
  if (list.status == kActive && stop->state != Stop::State::kWaiting) return Events{};
  if (list.status != kActive || list.phase != Phase::kShopping) {
    return not_now(list, "shopped at a store");
  }
  return Events{BotArrivedAtStore{std::string(store_id)}};
}

ListDecision report_items(const ShoppingList& list, std::string_view bot_id,
                          std::string_view store_id, std::span<const ItemReport> items) {
  if (auto in_hand = is_in_hand_of(list, bot_id); !in_hand) return std::unexpected(in_hand.error());
  const Stop* stop = list.stop_at(store_id);
  if (stop == nullptr) {
    return refuse(RefusalKind::kInvalid, fmt::format("store '{}' is not on the list", store_id));
  }
  if (auto whole = covers(*stop, items); !whole) return std::unexpected(whole.error());
  if (stop->state == Stop::State::kDone && same_items(*stop, items)) return Events{};
  if (stop->state != Stop::State::kArrived) return not_now(list, "filled before the robot arrived");
  Events events{ItemsPicked{std::string(store_id), {items.begin(), items.end()}}};
  const auto open = std::ranges::count_if(
      list.stops, [](const Stop& other) { return other.state != Stop::State::kDone; });
  if (open == 1) events.emplace_back(ShoppingFinished{});
  return events;
}

ListDecision arrive_at_depot(const ShoppingList& list, std::string_view bot_id) {
  if (auto in_hand = is_in_hand_of(list, bot_id); !in_hand) return std::unexpected(in_hand.error());
  if (list.status == kActive && list.phase == Phase::kAtDepot) return Events{};
  if (list.status != kActive || list.phase != Phase::kReturning) {
    return not_now(list, "brought in");
  }
  return Events{BotArrivedAtDepot{}};
}

ListDecision strand(const ShoppingList& list, std::string_view bot_id) {
  if (auto in_hand = is_in_hand_of(list, bot_id); !in_hand) return Events{};  // no longer its own
  if (list.status == kAssigned) return Events{ListAvailable{}};
  if (list.phase == Phase::kAtDepot) return Events{};  // it is here: the staff can count
  return Events{ShoppingStranded{std::string(bot_id)}};
}

ListDecision take_inventory(const ShoppingList& list, std::span<const ItemCount> counted) {
  if (list.status == kCompleted && std::ranges::equal(list.counted, counted)) return Events{};
  if (list.status != kActive || list.phase != Phase::kAtDepot) return not_now(list, "counted");
  for (const ItemCount& item : counted) {
    const std::uint32_t wanted = wanted_of(list, item.product_id);
    // Whoever counts none of it has mistaken it for one that is there.
    if (wanted == 0) {
      return refuse(RefusalKind::kInvalid,
                    fmt::format("product '{}' is not on the list", item.product_id));
    }
    if (std::ranges::count(counted, item.product_id, &ItemCount::product_id) > 1) {
      return refuse(RefusalKind::kInvalid,
                    fmt::format("product '{}' is counted more than once", item.product_id));
    }
    if (item.quantity > wanted) {
      return refuse(RefusalKind::kInvalid, fmt::format("{} of product '{}' are counted, {} wanted",
                                                       item.quantity, item.product_id, wanted));
    }
  }
  std::vector<ItemCount> items(counted.begin(), counted.end());
  return Events{ListInventoried{items}, ListCompleted{std::move(items)}};
}

ListDecision cancel(const ShoppingList& list, std::string_view reason) {
  if (list.status == kCanceled) return Events{};
  if (list.status == kNone || list.status == kCompleted) return not_now(list, "canceled");
  auto good_reason = checked_text("the reason", reason, kMaxReasonBytes);
  if (!good_reason) return std::unexpected(good_reason.error());
  return Events{ListCanceled{*std::move(good_reason), list.bot_id}};
}

}  // namespace mallbots::depot
