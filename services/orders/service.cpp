#include "services/orders/service.h"

#include "clients/toolkit/cqrs/processors.h"
#include "services/customers/contract.h"
#include "services/orders/adapters/grpc.h"
#include "services/orders/adapters/streams.h"
#include "services/orders/app/create_order.h"
#include "services/runtime/figures.h"
#include "services/runtime/spans.h"
#include "services/runtime/wiring.h"

namespace mallbots::orders {
namespace {

constexpr std::int64_t kAbandonAfterMs = 10LL * 60 * 1000;
constexpr std::size_t kStreamsAtOnce = 4;

struct OrdersService final : Service {
  std::unique_ptr<CartAndOrderStreams> streams;
  std::unique_ptr<Offers> offers;
  std::unique_ptr<Orders> orders;
  std::unique_ptr<Abandonment> abandonment;
  std::unique_ptr<toolkit::OtlpFile> spans;  ///< of the saga's steps; null: off
  std::unique_ptr<toolkit::SagaRunner> saga;
  std::shared_ptr<grpc::Service> calls;

  [[nodiscard]] Result<void> open(Host& host, const toolkit::ServiceStore& store);
  [[nodiscard]] Result<void> wire_orders(Host& host);
  [[nodiscard]] Result<void> wire_catalogue(Host& host, const toolkit::ServiceStore& store);
  [[nodiscard]] Result<void> wire_carts(Host& host, const toolkit::ServiceStore& store);
  [[nodiscard]] Result<void> wire_saga(Host& host);
};

Result<void> OrdersService::open(Host& host, const toolkit::ServiceStore& store) {
  MALLBOTS_TRY(host.ensure_topics({"mallbots.orders.events.Cart", "mallbots.orders.events.Order"}));
  auto opened = CartAndOrderStreams::open(host.connection(), kStreamsAtOnce);
  if (!opened) return std::unexpected(std::move(opened).error());
  streams = std::move(*opened);
  const Units units{store.database, store.outbox};
  auto kept = Offers::open(units);
  if (!kept) return std::unexpected(std::move(kept).error());
  offers = std::move(*kept);
  orders = std::make_unique<Orders>(*streams, *offers);
  const auto after_ms = host.number("orders.abandon_after_ms", kAbandonAfterMs);
  if (!after_ms) return std::unexpected(after_ms.error());
  auto watch = Abandonment::open(units, *orders, host.clock(), *after_ms);
  if (!watch) return std::unexpected(std::move(watch).error());
  abandonment = std::move(*watch);
  auto traced = open_spans(host.options(), "orders");
  if (!traced) return std::unexpected(std::move(traced).error());
  spans = std::move(*traced);
  saga = std::make_unique<toolkit::SagaRunner>(create_order_saga().plan(), store, topic_names(),
                                               spans.get());
  MALLBOTS_TRY(saga->open());
  add_figures(host, *saga);
  return {};
}

/// These change aggregates, which know by themselves what came before: no transaction, no inbox.
Result<void> OrdersService::wire_orders(Host& host) {
  toolkit::CommandProcessor commands(topic_names());
  MALLBOTS_TRY(commands.handle<ordersapi::ApproveOrder>(call(*orders, &Orders::approve)));
  MALLBOTS_TRY(commands.handle<ordersapi::RejectOrder>(call(*orders, &Orders::reject)));
  MALLBOTS_TRY(host.handle(commands.registrations()));
  toolkit::EventGroup events("orders", topic_names());
  events.on<ordersapi::CartCheckedOut>(call(*orders, &Orders::on_checked_out))
      .on_from<depotapi::ShoppingStarted>(depot::topic_names(), call(*orders, &Orders::on_started))
      .on_from<depotapi::ShoppingListCompleted>(depot::topic_names(),
                                                call(*orders, &Orders::on_completed))
      .on_from<paymentsapi::InvoicePaid>(payments::topic_names(), call(*orders, &Orders::on_paid));
  return host.handle(events.registration());
}

Result<void> OrdersService::wire_catalogue(Host& host, const toolkit::ServiceStore& store) {
  const auto keep = [this](toolkit::Context& context, const auto& event) {
    return offers->on(context, event);
  };
  toolkit::EventGroup catalogue("orders.catalogue", stores::topic_names());
  catalogue.on<storesapi::StoreCreated>(keep)
      .on<storesapi::StoreRebranded>(keep)
      .on<storesapi::StoreParticipatingToggled>(keep)
      .on<storesapi::ProductAdded>(keep)
      .on<storesapi::ProductRebranded>(keep)
      .on<storesapi::ProductPriceIncreased>(keep)
      .on<storesapi::ProductPriceDecreased>(keep)
      .on<storesapi::ProductRemoved>(keep);
  return host.handle(catalogue.registration(), store);
}

Result<void> OrdersService::wire_carts(Host& host, const toolkit::ServiceStore& store) {
  toolkit::EventGroup carts("orders.carts", topic_names());
  carts.on<ordersapi::CartStarted>(call(*abandonment, &Abandonment::on_started))
      .on<ordersapi::CartCanceled>(call(*abandonment, &Abandonment::on_canceled))
      .on<ordersapi::CartCheckedOut>(call(*abandonment, &Abandonment::on_checked_out));
  MALLBOTS_TRY(host.handle(carts.registration(), store));
  host.every(1'000, "orders.abandonment", [this] { return abandonment->tick(); });
  return {};
}

Result<void> OrdersService::wire_saga(Host& host) {
  // What the saga asks for waits there, whoever is up.
  const toolkit::TopicNames names = topic_names();
  for (const toolkit::MessageType& command :
       {toolkit::kMessageType<customersapi::AuthorizeCustomer>,
        toolkit::kMessageType<depotapi::CreateShoppingList>,
        toolkit::kMessageType<depotapi::InitiateShopping>,
        toolkit::kMessageType<depotapi::CancelShoppingList>,
        toolkit::kMessageType<paymentsapi::ConfirmPayment>,
        toolkit::kMessageType<paymentsapi::ReleasePayment>})
    MALLBOTS_TRY(host.ensure_topics({Topic{names.topic_of(command)}}));
  MALLBOTS_TRY(host.ensure_topics({saga->reply_topic()}));
  MALLBOTS_TRY(host.handle(saga->registration()));
  host.run_beside("orders.saga", [this](const std::stop_token& stop) { saga->run(stop); });
  return {};
}

}  // namespace

Result<std::unique_ptr<Service>> make_orders(Host& host) {
  auto service = std::make_unique<OrdersService>();
  const auto store = host.open_store("orders");
  if (!store) return std::unexpected(store.error());
  MALLBOTS_TRY(service->open(host, *store));
  MALLBOTS_TRY(service->wire_orders(host));
  MALLBOTS_TRY(service->wire_catalogue(host, *store));
  MALLBOTS_TRY(service->wire_carts(host, *store));
  MALLBOTS_TRY(service->wire_saga(host));
  service->calls = make_grpc({*service->orders, *service->abandonment, *service->saga},
                             host.calls(), host.log());
  host.serve("orders", *service->calls);
  return service;
}

}  // namespace mallbots::orders
