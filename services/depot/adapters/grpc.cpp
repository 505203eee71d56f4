#include "services/depot/adapters/grpc.h"

#include <array>

#include "services/depot/api.grpc.pb.h"
#include "services/runtime/grpc_calls.h"

namespace mallbots::depot {
namespace {

using google::protobuf::Empty;
using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;
using toolkit::Cause;

std::string_view name_of(Stop::State state) {
  static constexpr std::array kNames = {std::string_view{"waiting"}, std::string_view{"arrived"},
                                        std::string_view{"done"}};
  return kNames[static_cast<std::size_t>(state)];
}

void show(const ShoppingList& list, depotpb::ShoppingList& message) {
  message.set_id(list.id);
  message.set_order_id(list.order_id);
  message.set_status(std::string(depot::name_of(list.status)));
  if (list.status == ListStatus::kActive)
    message.set_phase(std::string(depot::name_of(list.phase)));
  message.set_bot_id(list.bot_id);
  for (const Stop& stop : list.stops) {
    auto& one = *message.add_stops();
    one.set_store_id(stop.store_id);
    one.set_store_name(stop.store_name);
    one.set_store_location(stop.store_location);
    one.set_state(std::string(name_of(stop.state)));
    for (const WantedItem& item : stop.items) {
      auto& wanted = *one.add_items();
      wanted.set_product_id(item.product_id);
      wanted.set_product_name(item.product_name);
      wanted.set_quantity(static_cast<std::int32_t>(item.quantity));
      wanted.set_picked(static_cast<std::int32_t>(item.picked));
    }
  }
  for (const ItemCount& count : list.counted) {
    auto& one = *message.add_counted();
    one.set_product_id(count.product_id);
    one.set_quantity(static_cast<std::int32_t>(count.quantity));
  }
}

void show(const Bot& bot, depotpb::Bot& message) {
  message.set_id(bot.id);
  message.set_name(bot.name);
  message.set_status(std::string(depot::name_of(bot.status)));
  message.set_epoch(bot.epoch);
  message.set_list_id(bot.list_id);
}

std::unexpected<Failure> below_zero() {
  return std::unexpected(Failure(Refusal{RefusalKind::kInvalid, "a quantity is below 0"}));
}

Outcome<void> items_picked(Depot& depot, const Depot::Reporter& who,
                           const depotpb::ReportRequest::Picked& picked) {
  std::vector<ItemReport> items;
  for (const depotpb::ItemReport& item : picked.items()) {
    if (item.picked() < 0 || item.unavailable() < 0) return below_zero();
    items.push_back({item.product_id(), static_cast<std::uint32_t>(item.picked()),
                     static_cast<std::uint32_t>(item.unavailable())});
  }
  return depot.items_picked(who, picked.store_id(), items);
}

Outcome<void> report(Depot& depot, const depotpb::ReportRequest& request) {
  using What = depotpb::ReportRequest::WhatCase;
  const Depot::Reporter who{request.bot_id(), request.epoch(), request.list_id(),
                            request.sequence()};
  switch (request.what_case()) {
    case What::kAccepted:
      return depot.accepted(who);
    case What::kDeclined:
      return depot.decline(who);
    case What::kStarted:
      return depot.started(who);
    case What::kArrivedAtStore:
      return depot.arrived_at_store(who, request.arrived_at_store().store_id());
    case What::kItemsPicked:
      return items_picked(depot, who, request.items_picked());
    case What::kArrivedAtDepot:
      return depot.arrived_at_depot(who);
    case What::kEmptied:
      return depot.emptied(who);
    case What::WHAT_NOT_SET:
      break;
  }
  return std::unexpected(Refusal{RefusalKind::kInvalid, "the report says nothing"});
}

class DepotCalls final : public depotpb::DepotService::CallbackService {
 public:
  DepotCalls(Depot& depot, WorkerPool& pool, const toolkit::Log& log)
      : depot_(&depot), calls_(pool, log) {}

  // --- Robots

  ServerUnaryReactor* Hello(CallbackServerContext* context, const depotpb::HelloRequest* request,
                            depotpb::HelloResponse* response) override {
    return calls_.run(context, [=, this](const Cause&) -> Outcome<void> {
      MALLBOTS_OUTCOME(welcome, depot_->hello(request->bot_id(), request->name()));
      response->set_epoch(welcome->epoch);
      response->set_list_id(welcome->list_id);
      response->set_heartbeat_ms(depot_->options().heartbeat_ms);
      response->set_last_sequence(welcome->last_sequence);
      return {};
    });
  }
  ServerUnaryReactor* Report(CallbackServerContext* context, const depotpb::ReportRequest* request,
                             Empty*) override {
    return calls_.run(context, [=, this](const Cause&) { return report(*depot_, *request); });
  }
  ServerUnaryReactor* Heartbeat(CallbackServerContext* context,
                                const depotpb::BotConnection* request, Empty*) override {
    return calls_.run(context, [=, this](const Cause&) {
      return depot_->heartbeat(request->bot_id(), request->epoch());
    });
  }
  ServerUnaryReactor* Heartbeats(CallbackServerContext* context,
                                 const depotpb::HeartbeatsRequest* request,
                                 depotpb::HeartbeatsResponse* response) override {
    return calls_.run(context, [=, this](const Cause&) -> Outcome<void> {
      std::vector<Depot::Connection> heard;
      for (const depotpb::BotConnection& one : request->heard())
        heard.push_back({one.bot_id(), one.epoch()});
      MALLBOTS_OUTCOME(over, depot_->heartbeats(heard));
      for (const Depot::Connection& one : *over) {
        auto& connection = *response->add_over();
        connection.set_bot_id(one.bot_id);
        connection.set_epoch(one.epoch);
      }
      return {};
    });
  }
  ServerUnaryReactor* StreamEnded(CallbackServerContext* context,
                                  const depotpb::BotConnection* request, Empty*) override {
    return calls_.run(context, [=, this](const Cause&) {
      return depot_->stream_ended(request->bot_id(), request->epoch());
    });
  }

  // --- Staff

  ServerUnaryReactor* TakeInventory(CallbackServerContext* context,
                                    const depotpb::TakeInventoryRequest* request, Empty*) override {
    return calls_.run(context, [=, this](const Cause& cause) -> Outcome<void> {
      std::vector<ItemCount> counted;
      for (const depotpb::ItemCount& item : request->counted()) {
        if (item.quantity() < 0) return below_zero();
        counted.push_back({item.product_id(), static_cast<std::uint32_t>(item.quantity())});
      }
      return depot_->take_inventory(request->list_id(), counted, cause);
    });
  }

  // --- To look at

  ServerUnaryReactor* GetList(CallbackServerContext* context, const depotpb::ListRequest* request,
                              depotpb::ShoppingList* response) override {
    return calls_.run(context, [=, this](const Cause&) -> Outcome<void> {
      MALLBOTS_OUTCOME(list, depot_->list(request->id()));
      show(*list, *response);
      return {};
    });
  }
  ServerUnaryReactor* ListShoppingLists(CallbackServerContext* context,
                                        const depotpb::ListShoppingListsRequest* request,
                                        depotpb::ListShoppingListsResponse* response) override {
    return calls_.run(context, [=, this](const Cause&) -> Outcome<void> {
      MALLBOTS_OUTCOME(page, depot_->lists({request->status(), request->phase()},
                                           {request->cursor(), request->limit()}));
      for (const ShoppingList& list : page->items) show(list, *response->add_lists());
      response->set_next(page->next);
      return {};
    });
  }
  ServerUnaryReactor* GetBot(CallbackServerContext* context, const depotpb::BotRequest* request,
                             depotpb::Bot* response) override {
    return calls_.run(context, [=, this](const Cause&) -> Outcome<void> {
      MALLBOTS_OUTCOME(bot, depot_->bot(request->id()));
      show(*bot, *response);
      return {};
    });
  }
  ServerUnaryReactor* ListBots(CallbackServerContext* context,
                               const depotpb::ListBotsRequest* request,
                               depotpb::ListBotsResponse* response) override {
    return calls_.run(context, [=, this](const Cause&) -> Outcome<void> {
      MALLBOTS_OUTCOME(page, depot_->bots({request->cursor(), request->limit()}));
      for (const Bot& bot : page->items) show(bot, *response->add_bots());
      response->set_next(page->next);
      return {};
    });
  }

 private:
  Depot* depot_;
  Calls calls_;
};

}  // namespace

std::shared_ptr<grpc::Service> make_grpc(Depot& depot, WorkerPool& pool, const toolkit::Log& log) {
  return std::make_shared<DepotCalls>(depot, pool, log);
}

}  // namespace mallbots::depot
