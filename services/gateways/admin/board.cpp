#include "services/gateways/admin/board.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "clients/toolkit/cqrs/codec.h"
#include "services/customers/contract.h"
#include "services/depot/contract.h"
#include "services/gateways/admin/board_rows.h"
#include "services/orders/contract.h"
#include "services/payments/contract.h"
#include "services/stores/contract.h"

namespace mallbots::gateways {
using nlohmann::json;
using namespace board_rows;

class Board::Drawing {
 public:
  Drawing(std::string run, const BoardLimits& limits)
      : run_(std::move(run)),
        limits_(limits),
        changes_(kBoardTopics, Changes(limits.kept_removals)) {
    hear_orders();
    hear_lists();
    hear_bots();
    hear_invoices();
    hear_stores();
  }

  bool take(std::string_view name, std::string_view payload, UnixMillis at, std::string_view id) {
    const auto found = handlers_.find(std::string(name));
    if (found == handlers_.end()) return false;
    const std::scoped_lock lock(mutex_);
    event_ = std::hash<std::string_view>{}(id);
    if (!found->second(payload, at)) return false;
    ++figures_.events;
    return true;
  }

  void take_position(const std::string& id, const BotPosition& position, UnixMillis at_ms) {
    const std::scoped_lock lock(mutex_);
    Bot& bot = bots_[id];
    bot.position = position;
    bot.position_ms = at_ms;
    if (position.is_gone) bot.position.reset();
    show_bot(id);
  }

  Changes& changes(BoardTopic topic) { return changes_[static_cast<std::size_t>(topic)]; }
  [[nodiscard]] const Changes& changes(BoardTopic topic) const {
    return changes_[static_cast<std::size_t>(topic)];
  }

  [[nodiscard]] json moments_of(const std::string& order_id) const {
    const auto found = orders_.find(order_id);
    return found == orders_.end() ? json::array() : json_of(found->second.moments);
  }
  [[nodiscard]] bool has_order(const std::string& id) const {
    const auto found = orders_.find(id);
    return found != orders_.end() && !found->second.status.empty();
  }

  BoardFigures take_figures() {
    BoardFigures figures = std::exchange(figures_, {});
    figures.bots_active = static_cast<std::size_t>(std::ranges::count_if(
        bots_, [](const auto& entry) { return entry.second.status == "active"; }));
    return figures;
  }

  [[nodiscard]] std::mutex& mutex() const { return mutex_; }
  [[nodiscard]] const std::string& run() const { return run_; }

 private:
  template <class Event>
  void hear(std::function<void(const Event&, UnixMillis)> handle) {
    handlers_[toolkit::kMessageType<Event>.wire_name()] =
        [this, handle = std::move(handle)](std::string_view payload, UnixMillis at_ms) {
          Event event;
          if (!event.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return false;
          if (was_taken(order_of(event))) return false;
          handle(event, at_ms);
          return true;
        };
  }

  template <class Event>
  [[nodiscard]] std::string order_of(const Event& event) const {
    if constexpr (requires { event.order_id(); }) return event.order_id();
    const auto list = lists_.find(event.id());
    return list == lists_.end() ? event.id() : list->second.order_id;
  }

  /// Whatever changes something of an order leaves a moment with it.
  [[nodiscard]] bool was_taken(const std::string& order_id) const {
    const auto order = orders_.find(order_id);
    return order != orders_.end() &&
           std::ranges::count(order->second.moments, event_, &Moment::event) > 0;
  }

  // --- Orders

  void hear_orders() {
    using namespace ordersapi;
    hear<OrderCreated>([this](const OrderCreated& event, UnixMillis at) { create(event, at); });
    hear<OrderApproved>([this](const OrderApproved& event, UnixMillis at) {
      Order& order = orders_[event.id()];
      order.shopping_id = event.shopping_id();
      order.approved_ms = at;
      if (order.created_ms != 0) figures_.approve_ms.push_back(at - order.created_ms);
      happened(event.id(), {"OrderApproved", text_of(event.total()), at}, "approved");
    });
    hear<OrderRejected>([this](const OrderRejected& event, UnixMillis at) {
      orders_[event.id()].reason = event.reason();
      ++figures_.closed_otherwise;
      happened(event.id(), {"OrderRejected", event.reason(), at}, "rejected");
      close(event.id());
    });
    hear<OrderStarted>([this](const OrderStarted& event, UnixMillis at) {
      happened(event.id(), {"OrderStarted", {}, at}, "in-progress");
    });
    hear<OrderReadied>([this](const OrderReadied& event, UnixMillis at) {
      Order& order = orders_[event.id()];
      order.total = event.total();
      order.lines = event.lines_size();
      if (order.approved_ms != 0) figures_.fetch_ms.push_back(at - order.approved_ms);
      happened(event.id(), {"OrderReadied", text_of(event.total()), at}, "ready");
    });
    hear<OrderPaid>([this](const OrderPaid& event, UnixMillis at) {
      orders_[event.id()].paid = true;
      happened(event.id(), {"OrderPaid", {}, at});
    });
    hear<OrderCanceled>([this](const OrderCanceled& event, UnixMillis at) {
      orders_[event.id()].reason = event.reason();
      ++figures_.closed_otherwise;
      const std::string by = event.by_staff() ? "by the staff: " : "by the customer: ";
      happened(event.id(), {"OrderCanceled", by + event.reason(), at}, "cancelled");
      close(event.id());
    });
    hear<OrderCompleted>([this](const OrderCompleted& event, UnixMillis at) {
      ++figures_.completed;
      happened(event.id(), {"OrderCompleted", {}, at}, "completed");
      close(event.id());
    });
    hear<customersapi::CustomerRegistered>(
        [this](const customersapi::CustomerRegistered& event, UnixMillis) {
          names_[event.id()] = event.name();
          const auto [first, last] = nameless_.equal_range(event.id());
          for (auto at = first; at != last; ++at) show_order(at->second);
          nameless_.erase(event.id());
        });
  }

  void create(const ordersapi::OrderCreated& event, UnixMillis at) {
    Order& order = orders_[event.id()];
    order.customer_id = event.customer_id();
    order.total = event.total();
    order.lines = event.lines_size();
    order.created_ms = at;
    for (const auto& line : event.lines()) {
      if (std::ranges::find(order.stores, line.store_id()) == order.stores.end()) {
        order.stores.push_back(line.store_id());
      }
    }
    if (!names_.contains(order.customer_id)) nameless_.emplace(order.customer_id, event.id());
    ++figures_.created;
    happened(event.id(), {"OrderCreated", text_of(event.total()), at}, "pending");
  }

  void happened(const std::string& order_id, Moment moment, const char* status = nullptr) {
    if (order_id.empty()) return;
    Order& order = orders_[order_id];
    if (order.id.empty() && status == nullptr) meet_stranger(order_id);
    order.id = order_id;
    order.updated_ms = std::max(order.updated_ms, moment.at_ms);
    moment.event = event_;
    order.moments.push_back(std::move(moment));
    if (status != nullptr) order.status = status;
    show_order(order_id);
  }

  void show_order(const std::string& id) {
    const auto found = orders_.find(id);
    if (found == orders_.end() || found->second.status.empty()) return;
    const Order& order = found->second;
    const auto name = names_.find(order.customer_id);
    const std::string_view named = name == names_.end() ? "" : std::string_view(name->second);
    changes(BoardTopic::kOrders).put(id, row_of(order, named), order.stores, true);
  }

  void close(const std::string& order_id) {
    closed_.push_back(order_id);
    while (closed_.size() > limits_.kept_closed) {
      drop(closed_.front());
      closed_.pop_front();
    }
  }

  void meet_stranger(const std::string& order_id) {
    strangers_.push_back(order_id);
    while (strangers_.size() > limits_.kept_strangers) {
      const auto found = orders_.find(strangers_.front());
      if (found != orders_.end() && found->second.status.empty()) drop(strangers_.front());
      strangers_.pop_front();
    }
  }

  void drop(const std::string& order_id) {
    const auto found = orders_.find(order_id);
    if (found == orders_.end()) return;
    const std::string list_id = found->second.shopping_id;
    orders_.erase(found);
    lists_.erase(list_id);
    invoices_.erase(order_id);
    changes(BoardTopic::kLists).remove(list_id);
    changes(BoardTopic::kInvoices).remove(order_id);
    changes(BoardTopic::kOrders).remove(order_id);
  }

  // --- Shopping lists

  /// What a list's event says of its order, too.
  void list_happened(const std::string& id, Moment moment) {
    const List& list = lists_[id];
    // Its beginning is not known, or not any more.
    if (list.order_id.empty()) return static_cast<void>(lists_.erase(id));
    changes(BoardTopic::kLists).put(id, row_of(id, list, moment.at_ms));
    Order& order = orders_[list.order_id];
    order.shopping_id = id;
    if (!list.bot_id.empty()) order.bot_id = list.bot_id;
    happened(list.order_id, std::move(moment));
  }

  List& list_of(const std::string& id, const std::string& order_id, const char* status) {
    List& list = lists_[id];
    list.order_id = order_id;
    list.status = status;
    return list;
  }

  void hear_lists() {
    using namespace depotapi;
    hear<ShoppingListAvailable>([this](const ShoppingListAvailable& event, UnixMillis at) {
      list_of(event.id(), event.order_id(), "available").bot_id.clear();
      list_happened(event.id(), {"ShoppingListAvailable", {}, at});
    });
    hear<ShoppingListAssigned>([this](const ShoppingListAssigned& event, UnixMillis at) {
      list_of(event.id(), event.order_id(), "assigned").bot_id = event.bot_id();
      list_happened(event.id(), {"ShoppingListAssigned", event.bot_id(), at});
    });
    hear<ShoppingStarted>([this](const ShoppingStarted& event, UnixMillis at) {
      List& list = list_of(event.id(), event.order_id(), "active");
      list.phase = "shopping";
      list.bot_id = event.bot_id();
      list_happened(event.id(), {"ShoppingStarted", event.bot_id(), at});
    });
    hear<BotArrivedAtStore>([this](const BotArrivedAtStore& event, UnixMillis at) {
      lists_[event.id()].store_id = event.store_id();
      list_happened(event.id(), {"BotArrivedAtStore", event.store_id(), at});
    });
    hear<ItemsPickedUp>([this](const ItemsPickedUp& event, UnixMillis at) {
      List& list = lists_[event.id()];
      ++list.stops_done;
      list.picked += units_of(event.picked());
      list.unavailable += units_of(event.unavailable());
      list_happened(event.id(), {"ItemsPickedUp", event.store_id(), at});
    });
    hear<ShoppingFinished>([this](const ShoppingFinished& event, UnixMillis at) {
      List& list = lists_[event.id()];
      list.phase = "returning";
      list.store_id.clear();
      list_happened(event.id(), {"ShoppingFinished", {}, at});
    });
    hear<BotArrivedAtDepot>([this](const BotArrivedAtDepot& event, UnixMillis at) {
      lists_[event.id()].phase = "at-depot";
      list_happened(event.id(), {"BotArrivedAtDepot", event.bot_id(), at});
    });
    hear_ends_of_lists();
  }

  void hear_ends_of_lists() {
    using namespace depotapi;
    hear<ShoppingStranded>([this](const ShoppingStranded& event, UnixMillis at) {
      List& list = list_of(event.id(), event.order_id(), "available");
      list.phase.clear();
      list.bot_id.clear();
      list.store_id.clear();
      list_happened(event.id(), {"ShoppingStranded", event.bot_id(), at});
    });
    hear<ShoppingListCompleted>([this](const ShoppingListCompleted& event, UnixMillis at) {
      list_of(event.id(), event.order_id(), "completed").phase.clear();
      const auto counted = fmt::format("{} counted", units_of(event.items()));
      list_happened(event.id(), {"ShoppingListCompleted", counted, at});
    });
    hear<ShoppingListCanceled>([this](const ShoppingListCanceled& event, UnixMillis at) {
      list_of(event.id(), event.order_id(), "canceled").phase.clear();
      list_happened(event.id(), {"ShoppingListCanceled", {}, at});
    });
  }

  // --- Robots

  void show_bot(const std::string& id) {
    const Bot& bot = bots_[id];
    const auto list = lists_.find(bot.list_id);
    const std::string order_id = list == lists_.end() ? std::string() : list->second.order_id;
    changes(BoardTopic::kBots).put(id, row_of(id, bot, order_id));
  }

  void hear_bots() {
    using namespace depotapi;
    hear<BotCameOnline>([this](const BotCameOnline& event, UnixMillis) {
      Bot& bot = bots_[event.id()];
      bot.name = event.name();
      bot.status = bot.list_id.empty() ? "idle" : "active";
      show_bot(event.id());
    });
    hear<BotActivated>([this](const BotActivated& event, UnixMillis) {
      Bot& bot = bots_[event.id()];
      bot.list_id = event.list_id();
      bot.status = "active";
      show_bot(event.id());
    });
    hear<BotIdled>([this](const BotIdled& event, UnixMillis) {
      Bot& bot = bots_[event.id()];
      bot.list_id.clear();
      if (bot.status == "active") bot.status = "idle";  // a lost one stays offline
      show_bot(event.id());
    });
    hear<BotWentOffline>([this](const BotWentOffline& event, UnixMillis) {
      Bot& bot = bots_[event.id()];
      bot.status = "offline";
      show_bot(event.id());
    });
  }

  // --- Invoices

  template <class Event>
  void hear_invoice(std::string_view what,
                    std::function<std::string(const Event&, Invoice&)> change) {
    hear<Event>([this, what, change = std::move(change)](const Event& event, UnixMillis at) {
      Invoice& invoice = invoices_[event.id()];
      const std::string detail = change(event, invoice);
      changes(BoardTopic::kInvoices).put(event.id(), row_of(event.id(), invoice, at));
      orders_[event.order_id()].invoice_state = invoice.state;
      happened(event.order_id(), {what, detail, at});
    });
  }

  void hear_invoices() {
    using namespace paymentsapi;
    hear_invoice<InvoiceCreated>("InvoiceCreated", [](const InvoiceCreated& event, Invoice& mine) {
      mine.first_amount = event.amount();
      mine.amount = event.amount();
      return text_of(event.amount());
    });
    hear_invoice<InvoiceAdjusted>("InvoiceAdjusted",
                                  [](const InvoiceAdjusted& event, Invoice& mine) {
                                    mine.amount = event.amount();
                                    return text_of(event.amount());
                                  });
    hear_invoice<InvoicePaid>("InvoicePaid", [](const InvoicePaid& event, Invoice& mine) {
      mine.state = "paid";
      mine.paid_minor = event.amount().minor();
      mine.paid_by = event.paid_by();
      return text_of(event.amount()) + " by " + event.paid_by();
    });
    hear_invoice<InvoiceCanceled>("InvoiceCanceled", [](const InvoiceCanceled&, Invoice& mine) {
      mine.state = "canceled";
      return std::string();
    });
    hear_invoice<InvoiceRefunded>("InvoiceRefunded",
                                  [](const InvoiceRefunded& event, Invoice& mine) {
                                    if (event.is_whole()) mine.state = "refunded";
                                    mine.refunded_minor += event.amount().minor();
                                    return text_of(event.amount());
                                  });
  }

  // --- Stores

  void show_store(const std::string& id) {
    changes(BoardTopic::kStores).put(id, row_of(id, stores_[id]), {id});
  }

  void hear_stores() {
    using namespace storesapi;
    hear<StoreCreated>([this](const StoreCreated& event, UnixMillis) {
      Store& store = stores_[event.id()];
      store.name = event.name();
      store.location = event.location();
      show_store(event.id());
    });
    hear<StoreRebranded>([this](const StoreRebranded& event, UnixMillis) {
      stores_[event.id()].name = event.name();
      show_store(event.id());
    });
    hear<StoreParticipatingToggled>([this](const StoreParticipatingToggled& event, UnixMillis) {
      stores_[event.id()].participation = event.participating() ? "participating" : "private";
      show_store(event.id());
    });
    hear<StoreParticipationRequested>([this](const StoreParticipationRequested& event, UnixMillis) {
      stores_[event.id()].participation = "requested";
      show_store(event.id());
    });
    hear<StoreParticipationDenied>([this](const StoreParticipationDenied& event, UnixMillis) {
      stores_[event.id()].participation = "private";
      show_store(event.id());
    });
  }

  mutable std::mutex mutex_;
  std::string run_;
  BoardLimits limits_;
  std::unordered_map<std::string, std::function<bool(std::string_view, UnixMillis)>> handlers_;
  std::vector<Changes> changes_;
  std::unordered_map<std::string, Order> orders_;
  std::unordered_map<std::string, List> lists_;
  std::unordered_map<std::string, Bot> bots_;
  std::unordered_map<std::string, Invoice> invoices_;
  std::unordered_map<std::string, Store> stores_;
  std::unordered_map<std::string, std::string> names_;          ///< of customers
  std::unordered_multimap<std::string, std::string> nameless_;  ///< customer, order
  std::deque<std::string> closed_;                              ///< orders, oldest first
  std::deque<std::string> strangers_;  ///< orders that were not known to be created, the same
  BoardFigures figures_;
  std::size_t event_ = 0;  ///< that is being taken: its id's hash, which takes less room
};

Board::Board(std::string run, const BoardLimits& limits)
    : drawing_(std::make_unique<Drawing>(std::move(run), limits)) {}
Board::~Board() = default;

bool Board::take(std::string_view name, std::string_view payload, UnixMillis at_ms,
                 std::string_view id) {
  return drawing_->take(name, payload, at_ms, id);
}

void Board::take_position(const std::string& bot_id, const BotPosition& position,
                          UnixMillis at_ms) {
  drawing_->take_position(bot_id, position, at_ms);
}

void Board::put_ops(const std::string& id, std::string row) {
  const std::scoped_lock lock(drawing_->mutex());
  drawing_->changes(BoardTopic::kOps).put(id, std::move(row));
}

void Board::remove_ops(const std::string& id) {
  const std::scoped_lock lock(drawing_->mutex());
  drawing_->changes(BoardTopic::kOps).remove(id);
}

const std::string& Board::run() const noexcept { return drawing_->run(); }

std::uint64_t Board::version() const {
  const std::scoped_lock lock(drawing_->mutex());
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBoardTopics; ++i) {
    sum += drawing_->changes(static_cast<BoardTopic>(i)).newest();
  }
  return sum;
}

std::optional<std::string> Board::moments_of(const std::string& order_id) const {
  const std::scoped_lock lock(drawing_->mutex());
  if (!drawing_->has_order(order_id)) return std::nullopt;
  return text_of(drawing_->moments_of(order_id));
}

BoardFigures Board::take_figures() {
  const std::scoped_lock lock(drawing_->mutex());
  return drawing_->take_figures();
}

Board::Message Board::message_for(const Wish& wish, const Place& place) const {
  const std::scoped_lock lock(drawing_->mutex());
  const Piece piece = drawing_->changes(wish.topic).next(place, wish.filter);
  Message message{.after = piece.after, .more = piece.more};
  if (!piece.is_news) return message;
  const json moments = wish.with_moments ? drawing_->moments_of(wish.filter.key) : json();
  message.text = text_of(wish, piece, drawing_->run(), moments);
  return message;
}

Place Board::place_of(BoardTopic topic, std::uint64_t last) const {
  const std::scoped_lock lock(drawing_->mutex());
  return drawing_->changes(topic).place_of(last);
}

}  // namespace mallbots::gateways
