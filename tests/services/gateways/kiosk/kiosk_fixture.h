// KioskTest: the kiosk gateway over the real contexts, in one process with a real broker, asked
// over its port. Call from one thread, unless a call says otherwise.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "services/customers/service.h"
#include "services/depot/service.h"
#include "services/gateways/kiosk/service.h"
#include "services/orders/service.h"
#include "services/payments/service.h"
#include "services/runtime/grpc_client.h"
#include "services/search/service.h"
#include "services/stores/api.grpc.pb.h"
#include "services/stores/service.h"
#include "tests/services/gateways/http/raw_client.h"
#include "tests/support/daemon.h"

namespace mallbots::kiosk {

using gateways::RawAnswer;
using gateways::RawClient;
using nlohmann::json;
using storespb::StoresService;
using testing::HasSubstr;

class Mall {
 public:
  using Settings = std::map<std::string, std::string, std::less<>>;
  using Make = Result<std::unique_ptr<Service>> (*)(Host&);

  Mall(const test::Daemon& daemon, const std::vector<Make>& contexts, Settings settings)
      : host_(Host::open({.name = "test",
                          .runtime_dir = daemon.runtime_dir(),
                          .data_dir = daemon.folder() / "shop",
                          .settings = std::move(settings),
                          .log = [](const toolkit::LogLine&) {}})
                  .value()) {
    for (const Make make : contexts) {
      auto made = make(*host_);
      EXPECT_TRUE(made) << made.error().sentence();
      services_.push_back(*std::move(made));
    }
    auto kiosk = open_kiosk(*host_);
    EXPECT_TRUE(kiosk) << kiosk.error().sentence();
    kiosk_ = *std::move(kiosk);
    const auto started = host_->start();
    EXPECT_TRUE(started) << started.error().sentence();
    stores_ = StoresService::NewStub(host_->channel("stores"));
  }
  ~Mall() { host_->stop(); }

  template <class Request>
  void stores(grpc::Status (StoresService::Stub::*method)(grpc::ClientContext*, const Request&,
                                                          google::protobuf::Empty*),
              const Request& request) {
    grpc::ClientContext context;
    prepare(context, {.id = toolkit::new_message_id(), .actor = "staff:ann"}, 10'000);
    google::protobuf::Empty nothing;
    const auto status = ((*stores_).*method)(&context, request, &nothing);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  void open_store(const std::string& id) {
    storespb::CreateStoreRequest create;
    create.set_id(id);
    create.set_name("Store " + id);
    create.set_location("10,4");
    stores(&StoresService::Stub::CreateStore, create);
    storespb::StoreRequest which;
    which.set_id(id);
    stores(&StoresService::Stub::RequestParticipation, which);
    stores(&StoresService::Stub::ApproveParticipation, which);
  }
  void close_store(const std::string& id) {
    storespb::StoreRequest which;
    which.set_id(id);
    stores(&StoresService::Stub::EndParticipation, which);
  }
  void add_product(const std::string& id, const std::string& store_id, std::int64_t minor) {
    storespb::AddProductRequest add;
    add.set_id(id);
    add.set_store_id(store_id);
    add.set_name("Product " + id);
    add.set_sku(id);
    add.mutable_price()->set_minor(minor);
    add.mutable_price()->set_currency("GBP");
    stores(&StoresService::Stub::AddProduct, add);
  }
  void change_price(const std::string& id, std::int64_t minor) {
    storespb::ChangePriceRequest change;
    change.set_id(id);
    change.mutable_price()->set_minor(minor);
    change.mutable_price()->set_currency("GBP");
    stores(&StoresService::Stub::ChangePrice, change);
  }
  [[nodiscard]] KioskService& kiosk() { return *kiosk_; }

 private:
  std::unique_ptr<Host> host_;
  std::vector<std::unique_ptr<Service>> services_;
  std::unique_ptr<KioskService> kiosk_;
  std::unique_ptr<StoresService::Stub> stores_;
};

inline const std::vector<Mall::Make> kAll = {stores::make_stores, customers::make_customers,
                                             orders::make_orders, payments::make_payments,
                                             depot::make_depot,   search::make_search};

struct Told {
  int status = 0;
  json body;
  std::string head;
  [[nodiscard]] std::string problem() const {
    const std::string type = body.is_object() ? body.value("type", "") : "";
    return type.substr(std::min(type.size(), std::string("urn:mallbots:problem:").size()));
  }
};

class KioskTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(daemon_.start()) << daemon_.log(); }
  void open(const std::vector<Mall::Make>& contexts = kAll, Mall::Settings settings = {}) {
    settings.try_emplace("kiosk.timeout_ms", "10000");
    mall_ = std::make_unique<Mall>(daemon_, contexts, std::move(settings));
  }
  void fill() {
    mall_->open_store("s1");
    mall_->add_product("p1", "s1", 250);
    mall_->add_product("p2", "s1", 199);
    cart_ = start();
    // Orders hears of products by their events.
    ASSERT_TRUE(test::eventually([&] { return put(cart_, "p1", 2).status == 200; }));
    ASSERT_TRUE(test::eventually([&] { return put(cart_, "p2", 1).status == 200; }));
  }

  struct CartAt {
    std::string id, token;
  };
  Told ask(const std::string& method, const std::string& path, const json& body = nullptr,
           const std::string& headers = {}) {
    std::string request = method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers;
    const std::string text = body.is_null() ? "" : body.dump();
    if (!text.empty()) request += "Content-Type: application/json\r\n";
    if (method != "GET") request += "Content-Length: " + std::to_string(text.size()) + "\r\n";
    const RawAnswer answer = RawClient(mall_->kiosk().port()).ask(request + "\r\n" + text);
    return {answer.status, json::parse(answer.body, nullptr, false), answer.head};
  }
  CartAt start(const std::string& headers = {}) {
    const Told told = ask("POST", "/kiosk/v1/carts", nullptr, headers);
    EXPECT_EQ(told.status, 201) << told.body;
    return {told.body["cart"]["id"], told.body["token"]};
  }
  static std::string path_of(const CartAt& cart) { return "/kiosk/v1/carts/" + cart.id; }
  static std::string with(const CartAt& cart) { return "Cart-Token: " + cart.token + "\r\n"; }
  Told put(const CartAt& cart, const std::string& product, int quantity) {
    return ask("PUT", path_of(cart) + "/items/" + product, {{"quantity", quantity}}, with(cart));
  }
  Told submit(const CartAt& cart, const std::string& key, std::int64_t minor,
              const std::string& card = "tok_visa") {
    return ask("POST", path_of(cart) + "/submit",
               {{"phone", "+44 1234 567890"},
                {"name", "Ann"},
                {"card_token", card},
                {"confirmed_total", {{"minor", minor}, {"currency", "GBP"}}}},
               with(cart) + "Idempotency-Key: " + key + "\r\n");
  }
  Told order(const CartAt& cart) {
    return ask("GET", "/kiosk/v1/orders/" + cart.id, nullptr, with(cart));
  }

  /// What the bank has of customers: held or taken, in all.
  std::int64_t at_the_bank_minor() {
    const SQLite::Database books(daemon_.folder() / "shop/payment-provider.db",
                                 SQLite::OPEN_READONLY);
    SQLite::Statement sum(books,
                          "select coalesce(sum(held + captured - refunded), 0) from accounts");
    sum.executeStep();
    return sum.getColumn(0).getInt64();
  }

  test::Daemon daemon_;
  std::unique_ptr<Mall> mall_;
  CartAt cart_;
};

inline const std::string kKey = "key-0000000000000001";
inline const std::string kOtherKey = "key-0000000000000002";

}  // namespace mallbots::kiosk
