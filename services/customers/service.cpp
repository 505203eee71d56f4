#include "services/customers/service.h"

#include "clients/toolkit/cqrs/processors.h"
#include "services/customers/adapters/grpc.h"
#include "services/runtime/wiring.h"

namespace mallbots::customers {
namespace {

struct CustomersService final : Service {
  std::unique_ptr<Customers> customers;
  std::shared_ptr<grpc::Service> calls;
};

}  // namespace

Result<std::unique_ptr<Service>> make_customers(Host& host) {
  auto service = std::make_unique<CustomersService>();
  const auto store = host.open_store("customers");
  if (!store) return std::unexpected(store.error());
  auto customers = Customers::open({store->database, store->outbox});
  if (!customers) return std::unexpected(std::move(customers).error());
  service->customers = std::move(*customers);

  MALLBOTS_TRY(host.ensure_topics({"mallbots.customers.events.Customer"}));
  toolkit::CommandProcessor commands(topic_names());
  MALLBOTS_TRY(commands.handle<customersapi::AuthorizeCustomer>(
      call(*service->customers, &Customers::authorize)));
  MALLBOTS_TRY(host.handle(commands.registrations(), *store));

  service->calls = make_grpc(*service->customers, host.calls(), host.log());
  host.serve("customers", *service->calls);
  return service;
}

}  // namespace mallbots::customers
