// What gateways ask the contexts of a Host in this process, and what a robot does there: shared by
// tests that run many services in one process. Call from the test's thread.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <string>

#include "clients/toolkit/message.h"
#include "services/depot/api.grpc.pb.h"
#include "services/runtime/grpc_client.h"
#include "services/runtime/host.h"
#include "tests/support/process.h"

namespace mallbots::test {

/// `method` of the context's stub, once, as kiosk 3.
template <class Service, class Request, class Response>
grpc::Status call(Host& host, const char* context,
                  grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&,
                                                        Response*),
                  const Request& request, Response& response) {
  grpc::ClientContext around;
  prepare(around, {.id = toolkit::new_message_id(), .actor = "kiosk:3"}, 10'000);
  const auto stub = Service::NewStub(host.channel(context));
  return ((*stub).*method)(&around, request, &response);
}

/// The same; a refusal fails the test.
template <class Service, class Request, class Response>
void done(Host& host, const char* context,
          grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
          const Request& request, Response& response) {
  const grpc::Status status = call<Service>(host, context, method, request, response);
  ASSERT_TRUE(status.ok()) << context << ": " << status.error_message();
}

/// Robot b1 takes a list, picks two mugs up at store s1 and brings them to the depot's door. Gives
/// the list.
inline std::string fetch_two_mugs(Host& host) {
  using depotpb::DepotService;
  google::protobuf::Empty nothing;
  depotpb::HelloRequest hello;
  hello.set_bot_id("b1");
  hello.set_name("Robbie");
  depotpb::HelloResponse welcome;
  EXPECT_TRUE(eventually([&] {
    return call<DepotService>(host, "depot", &DepotService::Stub::Hello, hello, welcome).ok() &&
           !welcome.list_id().empty();
  }));
  const auto report = [&](const auto& say) {
    depotpb::ReportRequest request;
    request.set_bot_id("b1");
    request.set_epoch(welcome.epoch());
    request.set_list_id(welcome.list_id());
    say(request);
    done<DepotService>(host, "depot", &DepotService::Stub::Report, request, nothing);
  };
  report([](auto& request) { request.mutable_started(); });
  report([](auto& request) { request.mutable_arrived_at_store()->set_store_id("s1"); });
  report([](auto& request) {
    request.mutable_items_picked()->set_store_id("s1");
    auto& item = *request.mutable_items_picked()->add_items();
    item.set_product_id("mug");
    item.set_picked(2);
  });
  report([](auto& request) { request.mutable_arrived_at_depot(); });
  return welcome.list_id();
}

}  // namespace mallbots::test
