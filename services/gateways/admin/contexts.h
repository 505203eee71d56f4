// Contexts: the stubs of all that the staff's gateway asks, and how one call is made.
//
// Who calls: handlers of the gateway, any thread. Heavy include: in the gateway's .cpp files only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "services/customers/api.grpc.pb.h"
#include "services/depot/api.grpc.pb.h"
#include "services/gateways/admin/calls.h"
#include "services/orders/api.grpc.pb.h"
#include "services/payments/api.grpc.pb.h"
#include "services/runtime/grpc_client.h"
#include "services/search/api.grpc.pb.h"
#include "services/stores/api.grpc.pb.h"

namespace mallbots::admin {

inline constexpr std::int64_t kCallMs = 5'000;

struct Contexts {
  explicit Contexts(const Channels& channel)
      : stores(storespb::StoresService::NewStub(channel("stores"))),
        customers(customerspb::CustomersService::NewStub(channel("customers"))),
        orders(orderspb::OrdersService::NewStub(channel("orders"))),
        depot(depotpb::DepotService::NewStub(channel("depot"))),
        payments(paymentspb::PaymentsService::NewStub(channel("payments"))),
        search(searchpb::SearchService::NewStub(channel("search"))) {}

  std::unique_ptr<storespb::StoresService::Stub> stores;
  std::unique_ptr<customerspb::CustomersService::Stub> customers;
  std::unique_ptr<orderspb::OrdersService::Stub> orders;
  std::unique_ptr<depotpb::DepotService::Stub> depot;
  std::unique_ptr<paymentspb::PaymentsService::Stub> payments;
  std::unique_ptr<searchpb::SearchService::Stub> search;
};

/// ask(*contexts.orders, &Stub::GetOrder, request, asker)
template <class Stub, class Asked, class Answer>
[[nodiscard]] Outcome<Answer> ask(Stub& stub,
                                  grpc::Status (Stub::*method)(grpc::ClientContext*, const Asked&,
                                                               Answer*),
                                  const Asked& asked, const Asker& asker) {
  grpc::ClientContext context;
  prepare(context, {.id = asker.request_id, .actor = "staff:" + asker.member.name}, kCallMs);
  Answer answer;
  const grpc::Status status = (stub.*method)(&context, asked, &answer);
  if (!status.ok()) return std::unexpected(failure_of(status));
  return answer;
}

}  // namespace mallbots::admin
