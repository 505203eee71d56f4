// The context stores over a real broker, called by gRPC.
#include "services/stores/service.h"

#include <gtest/gtest.h>

#include "services/runtime/grpc_client.h"
#include "services/stores/api.grpc.pb.h"
#include "tests/support/daemon.h"

namespace mallbots::stores {
namespace {

using storespb::StoresService;

/// A process of the shop with this context alone.
class Mall {
 public:
  explicit Mall(const test::Daemon& daemon)
      : host_(Host::open({.name = "test",
                          .runtime_dir = daemon.runtime_dir(),
                          .data_dir = daemon.folder() / "shop",
                          .log = [](const toolkit::LogLine&) {}})
                  .value()) {
    auto made = make_stores(*host_);
    EXPECT_TRUE(made) << made.error().sentence();
    service_ = std::move(*made);
    const auto started = host_->start();
    EXPECT_TRUE(started) << started.error().sentence();
    stub_ = StoresService::NewStub(host_->channel("stores"));
  }
  ~Mall() { host_->stop(); }

  template <class Request, class Response>
  grpc::StatusCode call(grpc::Status (StoresService::Stub::*method)(grpc::ClientContext*,
                                                                    const Request&, Response*),
                        const Request& request, Response& response, const std::string& id = {}) {
    grpc::ClientContext context;
    prepare(context, {.id = id.empty() ? toolkit::new_message_id() : id, .actor = "staff:ann"},
            5'000);
    return ((*stub_).*method)(&context, request, &response).error_code();
  }
  grpc::StatusCode create(const std::string& id, const std::string& name) {
    storespb::CreateStoreRequest request;
    request.set_id(id);
    request.set_name(name);
    request.set_location("10,4");
    return call(&StoresService::Stub::CreateStore, request, nothing_);
  }
  grpc::StatusCode ask_to_take_part(const std::string& id) {
    storespb::StoreRequest request;
    request.set_id(id);
    return call(&StoresService::Stub::RequestParticipation, request, nothing_);
  }
  storespb::ListStoresResponse stores(const std::string& participation = {}) {
    storespb::ListStoresRequest request;
    request.set_participation(participation);
    storespb::ListStoresResponse response;
    EXPECT_EQ(call(&StoresService::Stub::ListStores, request, response), grpc::StatusCode::OK);
    return response;
  }

  std::unique_ptr<Host> host_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<StoresService::Stub> stub_;
  google::protobuf::Empty nothing_;
};

TEST(StoresService, AnswersItsCallsAndKeepsWhatItWasTold) {
  test::Daemon daemon;
  ASSERT_TRUE(daemon.start()) << daemon.log();
  {
    Mall mall{daemon};
    EXPECT_EQ(mall.create("s1", "Tea House"), grpc::StatusCode::OK);
    ASSERT_EQ(mall.stores().stores_size(), 1);
    EXPECT_EQ(mall.ask_to_take_part("s1"), grpc::StatusCode::OK);  // an internal event
    EXPECT_EQ(mall.stores("requested").stores_size(), 1);
    storespb::AddProductRequest product;
    product.set_id("mug");
    product.set_store_id("s1");
    product.set_name("Mug");
    product.set_sku("m-1");
    EXPECT_EQ(mall.call(&StoresService::Stub::AddProduct, product, mall.nothing_),
              grpc::StatusCode::INVALID_ARGUMENT);  // without a currency
    product.mutable_price()->set_currency("GBP");
    product.mutable_price()->set_minor(250);
    EXPECT_EQ(mall.call(&StoresService::Stub::AddProduct, product, mall.nothing_),
              grpc::StatusCode::OK);
    product.set_id("cake");
    product.set_store_id("s2");
    EXPECT_EQ(mall.call(&StoresService::Stub::AddProduct, product, mall.nothing_),
              grpc::StatusCode::NOT_FOUND);
    EXPECT_EQ(mall.create("s1", "Other Name"), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_EQ(mall.create("s2", " "), grpc::StatusCode::INVALID_ARGUMENT);
  }
  Mall again{daemon};
  ASSERT_EQ(again.stores("requested").stores_size(), 1);
  storespb::ListProductsRequest wanted;
  wanted.set_store_id("s1");
  storespb::ListProductsResponse products;
  EXPECT_EQ(again.call(&StoresService::Stub::ListProducts, wanted, products), grpc::StatusCode::OK);
  ASSERT_EQ(products.products_size(), 1);
  EXPECT_EQ(products.products(0).price().minor(), 250);
}

}  // namespace
}  // namespace mallbots::stores
