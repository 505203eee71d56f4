// All contexts in one process over a real broker, called by gRPC as gateways would: one order from
// cart to pickup, seen by those who only listen; and where a phone number and a card went.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>

#include "services/customers/api.grpc.pb.h"
#include "services/mall/registry.h"
#include "services/mall/story.h"
#include "services/orders/api.grpc.pb.h"
#include "services/payments/api.grpc.pb.h"
#include "services/search/api.grpc.pb.h"
#include "services/stores/api.grpc.pb.h"
#include "tests/services/host_calls.h"
#include "tests/support/daemon.h"

namespace mallbots {
namespace {

constexpr const char* kPhone = "+442079461357";
constexpr std::string_view kDigits = "2079461357";
constexpr const char* kCard = "tok_8713550912";

const std::vector<std::string> kContexts = {"customers", "orders", "depot",        "payments",
                                            "stores",    "search", "notifications"};

void set_money(runtimepb::Money& money, std::int64_t pence) {
  money.set_minor(pence);
  money.set_currency("GBP");
}

class Contexts : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(daemon_.start()) << daemon_.log();
    start_mall();
  }
  void TearDown() override { stop_mall(); }

  void start_mall(std::map<std::string, std::string, std::less<>> settings = {}) {
    auto host = Host::open({.name = "test",
                            .runtime_dir = daemon_.runtime_dir(),
                            .data_dir = daemon_.folder() / "shop",
                            .settings = std::move(settings),
                            .log = [this](const toolkit::LogLine& line) { note(line); }});
    ASSERT_TRUE(host) << host.error().sentence();
    host_ = std::move(*host);
    for (const mall::Entry& entry : mall::registry()) {
      if (std::ranges::find(kContexts, entry.name) == kContexts.end()) continue;
      auto service = entry.make(*host_);
      ASSERT_TRUE(service) << service.error().sentence();
      services_.push_back(std::move(*service));
    }
    ASSERT_EQ(services_.size(), kContexts.size());
    const auto started = host_->start();
    ASSERT_TRUE(started) << started.error().sentence();
  }
  void stop_mall() {
    if (host_) host_->stop();
    services_.clear();
    host_.reset();
  }
  void note(const toolkit::LogLine& line) {
    const std::scoped_lock lock{mutex_};
    logged_ += line.text;
    for (const auto& [name, value] : line.values) logged_.append(" ").append(value);
    logged_ += '\n';
  }

  template <class Service, class... Asked>
  grpc::Status call(const char* context, Asked&&... asked) {
    return test::call<Service>(*host_, context, std::forward<Asked>(asked)...);
  }
  template <class Service, class... Asked>
  void done(const char* context, Asked&&... asked) {
    test::done<Service>(*host_, context, std::forward<Asked>(asked)...);
  }

  void open_store() {
    using storespb::StoresService;
    storespb::CreateStoreRequest store;
    store.set_id("s1");
    store.set_name("Tea House");
    store.set_location("10,4");
    done<StoresService>("stores", &StoresService::Stub::CreateStore, store, nothing_);
    storespb::StoreRequest it;
    it.set_id("s1");
    done<StoresService>("stores", &StoresService::Stub::ApproveParticipation, it, nothing_);
    storespb::AddProductRequest product;
    product.set_id("mug");
    product.set_store_id("s1");
    product.set_name("Mug");
    product.set_sku("m-1");
    set_money(*product.mutable_price(), 250);
    done<StoresService>("stores", &StoresService::Stub::AddProduct, product, nothing_);
  }
  /// Two mugs: 5.00.
  void submit() {
    using orderspb::OrdersService;
    customerspb::FindOrRegisterRequest who;
    who.set_name("Ada");
    who.set_sms_number(kPhone);
    customerspb::CustomerRequest customer;
    done<customerspb::CustomersService>(
        "customers", &customerspb::CustomersService::Stub::FindOrRegister, who, customer);
    paymentspb::AuthorizeRequest hold;
    hold.set_id("p1");
    hold.set_customer_id(customer.id());
    hold.set_card_token(kCard);
    set_money(*hold.mutable_amount(), 500);
    done<paymentspb::PaymentsService>("payments", &paymentspb::PaymentsService::Stub::Authorize,
                                      hold, nothing_);
    orderspb::CartRequest cart;
    cart.set_id("o1");
    orderspb::Cart shown;
    done<OrdersService>("orders", &OrdersService::Stub::StartCart, cart, shown);
    orderspb::SetQuantityRequest line;
    line.set_id("o1");
    line.set_product_id("mug");
    line.set_quantity(2);
    // The catalogue of orders hears of the product a moment later.
    ASSERT_TRUE(test::eventually([&] {
      return call<OrdersService>("orders", &OrdersService::Stub::SetQuantity, line, shown).ok();
    }));
    orderspb::CheckOutCartRequest out;
    out.set_id("o1");
    out.set_customer_id(customer.id());
    out.set_payment_id("p1");
    set_money(*out.mutable_confirmed_total(), 500);
    done<OrdersService>("orders", &OrdersService::Stub::CheckOutCart, out, nothing_);
    ASSERT_TRUE(comes_to("approved"));
  }
  void fetch() {
    using depotpb::DepotService;
    depotpb::TakeInventoryRequest count;
    count.set_list_id(test::fetch_two_mugs(*host_));
    count.add_counted()->set_product_id("mug");
    count.mutable_counted(0)->set_quantity(2);
    done<DepotService>("depot", &DepotService::Stub::TakeInventory, count, nothing_);
  }
  void pay_and_release() {
    paymentspb::PayRequest pay;
    pay.set_invoice_id("o1");
    pay.set_by("card");
    done<paymentspb::PaymentsService>("payments", &paymentspb::PaymentsService::Stub::Pay, pay,
                                      nothing_);
    orderspb::OrderRequest release;
    release.set_id("o1");
    ASSERT_TRUE(test::eventually([&] {  // orders hears of the payment a moment later
      return call<orderspb::OrdersService>("orders", &orderspb::OrdersService::Stub::ReleaseOrder,
                                           release, nothing_)
          .ok();
    }));
  }
  void order_and_carry_away() {
    open_store();
    submit();
    fetch();
    ASSERT_TRUE(comes_to("ready"));
    pay_and_release();
    ASSERT_TRUE(comes_to("completed"));
  }
  searchpb::Order found() {
    searchpb::OrderRequest wanted;
    wanted.set_id("o1");
    searchpb::Order order;
    static_cast<void>(call<searchpb::SearchService>(
        "search", &searchpb::SearchService::Stub::GetOrder, wanted, order));
    return order;
  }
  bool comes_to(const std::string& status) {
    return test::eventually([&] { return found().status() == status; });
  }
  std::vector<mall::Fact> history() {
    auto read = mall::read_history({.runtime_dir = daemon_.runtime_dir(), .name = "history"});
    EXPECT_TRUE(read) << read.error().sentence();
    return read.value_or(std::vector<mall::Fact>{});
  }
  /// Files under the daemon's folder, databases of the shop and records of the broker, in
  /// which it stands.
  std::vector<std::string> files_with(std::string_view text) {
    std::vector<std::string> files;
    const std::filesystem::path folder = daemon_.folder() / "";
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string content{std::istreambuf_iterator<char>(file), {}};
      if (content.find(text) != std::string::npos) files.push_back(entry.path().filename());
    }
    return files;
  }

  test::Daemon daemon_;
  std::unique_ptr<Host> host_;
  std::vector<std::unique_ptr<Service>> services_;
  google::protobuf::Empty nothing_;
  std::mutex mutex_;
  std::string logged_;
};

TEST_F(Contexts, AnOrderIsFoundToldAndAuditedByThoseWhoOnlyListen) {
  ASSERT_NO_FATAL_FAILURE(order_and_carry_away());
  ASSERT_TRUE(test::eventually([&] { return found().invoice_state() == "paid"; }));
  const searchpb::Order order = found();
  EXPECT_EQ(order.customer_name(), "Ada");
  EXPECT_EQ(order.bot_id(), "b1");
  EXPECT_EQ(order.total().minor(), 500);
  EXPECT_EQ(order.lines(0).store_name(), "Tea House");

  const auto all = history();
  const auto story = mall::story_of(all, "o1");
  std::vector<std::string> told;
  for (const mall::Fact& fact : story) told.push_back(fact.name);
  const auto at = [&](const std::string& name) {
    return std::ranges::find(told, name) - told.begin();
  };
  const std::string text = mall::shown_story(story);
  EXPECT_LT(at("CartCheckedOut"), at("OrderCreated")) << text;
  EXPECT_LT(at("OrderCreated"), at("CreateShoppingList")) << text;
  EXPECT_LT(at("CreateShoppingList"), at("OrderApproved")) << text;
  EXPECT_LT(at("ItemsPickedUp"), at("OrderReadied")) << text;
  EXPECT_LT(at("InvoicePaid"), at("OrderCompleted")) << text;
  EXPECT_LT(at("OrderCompleted"), std::ssize(told)) << text;

  const auto audit = mall::audit_of(all, "o1");
  const std::string who = mall::shown_audit(audit);
  for (const mall::Fact& fact : audit) {
    if (fact.name == "OrderCreated" || fact.name == "OrderApproved") {
      EXPECT_EQ(fact.actor, "kiosk:3") << who;
    }
    EXPECT_FALSE(fact.correlation.empty()) << who;
  }
  EXPECT_FALSE(mall::audit_of(all, "mug").empty());
}

TEST_F(Contexts, APhoneNumberStaysWithCustomersAndACardNowhere) {
  ASSERT_NO_FATAL_FAILURE(order_and_carry_away());
  const auto is_told = [&] {  // the last text message is written down
    const auto files = files_with("o1/released");
    return !files.empty();
  };
  ASSERT_TRUE(test::eventually(is_told));

  for (const mall::Fact& fact : history()) {
    for (const auto& [name, value] : fact.fields) {
      EXPECT_EQ(value.find(kDigits), std::string::npos) << fact.name << ' ' << name;
      EXPECT_EQ(value.find(kCard), std::string::npos) << fact.name << ' ' << name;
    }
  }
  stop_mall();
  for (const std::string& file : files_with(kDigits))
    EXPECT_TRUE(file.starts_with("customers.db")) << file;
  EXPECT_FALSE(files_with(kDigits).empty()) << "what is looked for is not where it belongs";
  for (const std::string& file : files_with(kCard)) ADD_FAILURE() << "a card in " << file;
  const std::scoped_lock lock{mutex_};
  EXPECT_EQ(logged_.find(kDigits), std::string::npos) << logged_;
  EXPECT_EQ(logged_.find(kCard), std::string::npos) << logged_;
  EXPECT_EQ(daemon_.log().find(kDigits), std::string::npos);
}

TEST_F(Contexts, WhatTheyKeptIsThereAfterAStartAlsoWhenItIsBuiltAnew) {
  open_store();
  submit();
  stop_mall();
  start_mall({{"search.rebuild", "yes"}, {"catalogue.rebuild", "yes"}});
  EXPECT_TRUE(comes_to("approved"));
  fetch();
  EXPECT_TRUE(comes_to("ready"));
  EXPECT_EQ(found().moments(0).what(), "OrderCreated");
  stop_mall();
  start_mall();  // what was replaced is dropped
  EXPECT_EQ(found().status(), "ready");
  using storespb::StoresService;
  storespb::ProductRequest mug;
  mug.set_id("mug");
  storespb::Product product;
  done<StoresService>("stores", &StoresService::Stub::GetProduct, mug, product);
  EXPECT_EQ(product.price().minor(), 250);
}

}  // namespace
}  // namespace mallbots
