#include "services/payments/service.h"

#include "clients/toolkit/cqrs/processors.h"
#include "services/payments/adapters/grpc.h"
#include "services/payments/adapters/simulated_provider.h"
#include "services/runtime/wiring.h"

namespace mallbots::payments {
namespace {

struct PaymentsService final : Service {
  std::unique_ptr<SimulatedProvider> provider;
  std::unique_ptr<Payments> payments;
  std::shared_ptr<grpc::Service> calls;
};

Result<void> wire(Host& host, const toolkit::ServiceStore& store, Payments& app) {
  const toolkit::TopicNames names = topic_names();
  MALLBOTS_TRY(host.ensure_topics({"mallbots.payments.events.Invoice"}));
  toolkit::CommandProcessor commands(names);
  MALLBOTS_TRY(commands.handle<paymentsapi::ConfirmPayment>(call(app, &Payments::confirm)));
  MALLBOTS_TRY(commands.handle<paymentsapi::ReleasePayment>(call(app, &Payments::release)));
  MALLBOTS_TRY(host.handle(commands.registrations(), store));

  const toolkit::TopicNames orders = orders::topic_names();
  toolkit::EventGroup events("payments.orders", names);
  events.on_from<ordersapi::OrderApproved>(orders, call(app, &Payments::on_approved))
      .on_from<ordersapi::OrderReadied>(orders, call(app, &Payments::on_readied))
      .on_from<ordersapi::OrderRejected>(orders, call(app, &Payments::on_rejected))
      .on_from<ordersapi::OrderCanceled>(orders, call(app, &Payments::on_canceled));
  MALLBOTS_TRY(host.handle(events.registration(), store));

  // These ask the provider, so they stand in no transaction. Its silence is waited out.
  toolkit::CommandProcessor own(names);
  MALLBOTS_TRY(own.handle<paymentsapi::Capture>(call(app, &Payments::capture)));
  MALLBOTS_TRY(own.handle<paymentsapi::GiveBack>(call(app, &Payments::give_back)));
  return host.handle(own.registrations(), {.max_deliveries = 0});
}

}  // namespace

Result<std::unique_ptr<Service>> make_payments(Host& host) {
  auto service = std::make_unique<PaymentsService>();
  const auto store = host.open_store("payments");
  if (!store) return std::unexpected(store.error());
  const std::string& folder = host.options().data_dir;
  auto provider = SimulatedProvider::open(folder.empty() ? "" : folder + "/payment-provider.db");
  if (!provider) return std::unexpected(std::move(provider).error());
  service->provider = std::move(*provider);
  auto payments = Payments::open({store->database, store->outbox}, *service->provider);
  if (!payments) return std::unexpected(std::move(payments).error());
  service->payments = std::move(*payments);
  MALLBOTS_TRY(wire(host, *store, *service->payments));
  service->calls = make_grpc(*service->payments, host.calls(), host.log());
  host.serve("payments", *service->calls);
  return service;
}

}  // namespace mallbots::payments
