// FakeContexts: stands in for the contexts behind the gateway: a few orders, stores and customers
// with the rules that the gateway's tests need. Any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "services/customers/api.grpc.pb.h"
#include "services/depot/api.grpc.pb.h"
#include "services/orders/api.grpc.pb.h"
#include "services/payments/api.grpc.pb.h"
#include "services/search/api.grpc.pb.h"
#include "services/stores/api.grpc.pb.h"

namespace mallbots::test {

using google::protobuf::Empty;
using grpc::ServerContext;
using grpc::Status;
using grpc::StatusCode;

inline Status unknown_thing() { return {StatusCode::NOT_FOUND, "there is no such thing"}; }

class FakeStores final : public storespb::StoresService::Service {
 public:
  Status CreateStore(ServerContext*, const storespb::CreateStoreRequest* asked, Empty*) override {
    const std::scoped_lock lock(mutex);
    auto& store = stores[asked->id()];
    if (store.id().empty()) ++created;
    store.set_id(asked->id());
    store.set_name(asked->name());
    store.set_location(asked->location());
    store.set_participation("private");
    return Status::OK;
  }
  Status GetStore(ServerContext*, const storespb::StoreRequest* asked,
                  storespb::Store* answer) override {
    const std::scoped_lock lock(mutex);
    const auto found = stores.find(asked->id());
    if (found == stores.end()) return unknown_thing();
    *answer = found->second;
    return Status::OK;
  }
  Status ListStores(ServerContext*, const storespb::ListStoresRequest*,
                    storespb::ListStoresResponse* answer) override {
    const std::scoped_lock lock(mutex);
    for (const auto& [id, store] : stores) *answer->add_stores() = store;
    return Status::OK;
  }
  Status RequestParticipation(ServerContext*, const storespb::StoreRequest* asked,
                              Empty*) override {
    const std::scoped_lock lock(mutex);
    auto& store = stores[asked->id()];
    if (store.participation() == "participating") {
      return {StatusCode::FAILED_PRECONDITION, "store s1 takes part already"};
    }
    store.set_participation("requested");
    return Status::OK;
  }
  Status ApproveParticipation(ServerContext*, const storespb::StoreRequest* asked,
                              Empty*) override {
    const std::scoped_lock lock(mutex);
    stores[asked->id()].set_participation("participating");
    return Status::OK;
  }
  Status GetProduct(ServerContext*, const storespb::ProductRequest* asked,
                    storespb::Product* answer) override {
    answer->set_id(asked->id());
    answer->set_store_id("s1");
    return Status::OK;
  }

  std::mutex mutex;
  std::map<std::string, storespb::Store> stores;
  int created = 0;
};

class FakeOrders final : public orderspb::OrdersService::Service {
 public:
  Status GetOrder(ServerContext* context, const orderspb::OrderRequest* asked,
                  orderspb::Order* answer) override {
    const std::scoped_lock lock(mutex);
    const auto actor = context->client_metadata().find("actor");
    if (actor != context->client_metadata().end()) {
      last_actor.assign(actor->second.data(), actor->second.size());
    }
    const auto found = orders.find(asked->id());
    if (found == orders.end()) return unknown_thing();
    *answer = found->second;
    return Status::OK;
  }
  Status ReleaseOrder(ServerContext*, const orderspb::OrderRequest* asked, Empty*) override {
    const std::scoped_lock lock(mutex);
    auto& order = orders[asked->id()];
    if (order.status() == "completed") return Status::OK;
    if (order.status() != "ready") {
      return {StatusCode::FAILED_PRECONDITION, "order o1 is " + order.status() + ", not ready"};
    }
    order.set_status("completed");
    ++released;
    return Status::OK;
  }
  Status CancelOrder(ServerContext* context, const orderspb::CancelRequest* asked,
                     Empty*) override {
    const std::scoped_lock lock(mutex);
    const auto request = context->client_metadata().find("request-id");
    if (request != context->client_metadata().end()) {
      cancel_requests.emplace_back(request->second.data(), request->second.size());
    }
    auto& order = orders[asked->id()];
    if (order.status() == "completed") {
      return {StatusCode::FAILED_PRECONDITION, "order o1 is completed"};
    }
    order.set_status("cancelled");
    order.set_reason(asked->reason());
    return Status::OK;
  }

  std::mutex mutex;
  std::map<std::string, orderspb::Order> orders;
  std::string last_actor;
  std::vector<std::string> cancel_requests;  ///< request ids
  int released = 0;
};

class FakePayments final : public paymentspb::PaymentsService::Service {
 public:
  Status GetInvoice(ServerContext*, const paymentspb::InvoiceRequest* asked,
                    paymentspb::Invoice* answer) override {
    const std::scoped_lock lock(mutex);
    const auto found = invoices.find(asked->id());
    if (found == invoices.end()) return unknown_thing();
    *answer = found->second;
    return Status::OK;
  }
  Status Pay(ServerContext*, const paymentspb::PayRequest* asked, Empty*) override {
    const std::scoped_lock lock(mutex);
    auto& invoice = invoices[asked->invoice_id()];
    if (invoice.state() == "pending") ++paid;
    invoice.set_state("paid");
    invoice.set_paid_by(asked->by());
    return Status::OK;
  }

  std::mutex mutex;
  std::map<std::string, paymentspb::Invoice> invoices;
  int paid = 0;
};

class FakeCustomers final : public customerspb::CustomersService::Service {
 public:
  Status GetCustomer(ServerContext*, const customerspb::CustomerRequest* asked,
                     customerspb::Customer* answer) override {
    answer->set_id(asked->id());
    answer->set_name("<img src=x onerror=alert(1)>");
    answer->set_sms_number("+441234567890");
    answer->set_enabled(true);
    return Status::OK;
  }
};

class FakeContexts {
 public:
  FakeContexts() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&stores);
    builder.RegisterService(&orders);
    builder.RegisterService(&payments);
    builder.RegisterService(&customers);
    builder.RegisterService(&depot);
    builder.RegisterService(&search);
    server_ = builder.BuildAndStart();
    channel_ = server_->InProcessChannel({});
  }
  [[nodiscard]] std::shared_ptr<grpc::Channel> channel() const { return channel_; }

  FakeStores stores;
  FakeOrders orders;
  FakePayments payments;
  FakeCustomers customers;
  depotpb::DepotService::Service depot;     ///< answers UNIMPLEMENTED
  searchpb::SearchService::Service search;  ///< the same: as if it were away

 private:
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace mallbots::test
