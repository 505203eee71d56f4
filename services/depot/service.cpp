#include "services/depot/service.h"

#include "clients/toolkit/cqrs/processors.h"
#include "services/depot/adapters/grpc.h"
#include "services/runtime/wiring.h"

namespace mallbots::depot {
namespace {

constexpr std::int64_t kTurnMs = 1'000;

struct DepotService final : Service {
  std::unique_ptr<Depot> depot;
  std::shared_ptr<grpc::Service> calls;
};

Result<DepotOptions> options_of(const Host& host) {
  DepotOptions options;
  for (auto& [name, value] : {std::pair{"depot.offer_ms", &options.offer_ms},
                              std::pair{"depot.heartbeat_ms", &options.heartbeat_ms},
                              std::pair{"depot.stranded_ms", &options.stranded_ms}}) {
    const auto given = host.number(name, *value);
    if (!given) return std::unexpected(given.error());
    *value = *given;
  }
  return options;
}

}  // namespace

Result<std::unique_ptr<Service>> make_depot(Host& host) {
  auto service = std::make_unique<DepotService>();
  const auto store = host.open_store("depot");
  if (!store) return std::unexpected(store.error());
  const auto options = options_of(host);
  if (!options) return std::unexpected(options.error());
  auto depot = Depot::open({store->database, store->outbox}, host.clock(), *options);
  if (!depot) return std::unexpected(std::move(depot).error());
  service->depot = std::move(*depot);
  Depot& app = *service->depot;

  MALLBOTS_TRY(
      host.ensure_topics({"mallbots.depot.events.ShoppingList", "mallbots.depot.events.Bot"}));
  toolkit::CommandProcessor commands(topic_names());
  MALLBOTS_TRY(commands.handle<depotapi::CreateShoppingList>(call(app, &Depot::create)));
  MALLBOTS_TRY(commands.handle<depotapi::InitiateShopping>(call(app, &Depot::initiate)));
  MALLBOTS_TRY(commands.handle<depotapi::CancelShoppingList>(call(app, &Depot::cancel)));
  MALLBOTS_TRY(host.handle(commands.registrations(), *store));
  toolkit::EventGroup events("depot.orders", topic_names());
  events.on_from<ordersapi::OrderCanceled>(orders::topic_names(),
                                           call(app, &Depot::on_order_canceled));
  MALLBOTS_TRY(host.handle(events.registration(), *store));
  host.every(kTurnMs, "depot.tick", [&app] { return app.tick(); });

  service->calls = make_grpc(app, host.calls(), host.log());
  host.serve("depot", *service->calls);
  return service;
}

}  // namespace mallbots::depot
