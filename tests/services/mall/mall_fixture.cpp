#include "tests/services/mall/mall_fixture.h"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "clients/event_store.h"
#include "clients/toolkit/message.h"
#include "services/runtime/rpc_server.h"

namespace mallbots::test {
namespace {

constexpr const char* kHeartbeat = "depot.heartbeat_ms=60000";

runtimepb::Money pence(std::int64_t minor) {
  runtimepb::Money money;
  money.set_minor(minor);
  money.set_currency("GBP");
  return money;
}

}  // namespace

// --- RunningMall

RunningMall::~RunningMall() {
  if (mall_ && mall_->running()) static_cast<void>(stop());
}

bool RunningMall::start(const std::vector<std::string>& more) {
  if (!has_broker_ && !daemon_.start()) return false;
  has_broker_ = true;
  std::vector<std::string> words{binary("mall"),
                                 "up",
                                 manner_ == Manner::kTogether ? "--together" : "--separate",
                                 "--only",
                                 options_.services,
                                 "--runtime-dir",
                                 daemon_.runtime_dir(),
                                 "--data-dir",
                                 data_dir(),
                                 "--set",
                                 kHeartbeat};
  for (const std::string& setting : options_.settings)
    words.insert(words.end(), {"--set", setting});
  if (!options_.apart.empty()) words.insert(words.end(), {"--without", options_.apart});
  words.insert(words.end(), more.begin(), more.end());
  mall_ = Process::start(words, {.limit_s = options_.limit_s});
  return mall_->says("The mall is open", 60) && (options_.apart.empty() || start_apart());
}

bool RunningMall::start_apart() {
  std::vector<std::string> words{
      binary("mall"), "run",      options_.apart, "--runtime-dir", daemon_.runtime_dir(),
      "--data-dir",   data_dir(), "--set",        kHeartbeat};
  for (const std::string& setting : options_.settings)
    words.insert(words.end(), {"--set", setting});
  apart_ = Process::start(words, {.limit_s = options_.limit_s});
  return eventually(
      [&] { return RpcServer::is_serving(daemon_.runtime_dir() + "/mall", options_.apart); }, 60);
}

bool RunningMall::kill_apart() {
  if (!apart_ || !apart_->running()) return false;
  apart_->send(SIGKILL);
  return apart_->wait().signal == SIGKILL;
}

bool RunningMall::stop_apart(double limit_s) {
  apart_->send(SIGTERM);
  const Ended ended = apart_->wait(limit_s);
  return ended.in_time && ended.exit_code == 0;
}

bool RunningMall::stop() {
  {
    const std::scoped_lock lock{mutex_};
    channels_.clear();
  }
  if (apart_ && !stop_apart()) return false;
  mall_->send(SIGTERM);
  const Ended ended = mall_->wait(40);
  return ended.in_time && ended.exit_code == 0;
}

pid_t RunningMall::process_of(const std::string& service) const {
  for (const pid_t pid : children_of(mall_->pid())) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/cmdline"};
    for (std::string word; std::getline(file, word, '\0');)
      if (word == service) return pid;
  }
  return 0;
}

bool RunningMall::signal(const std::string& service, int signal) {
  const pid_t pid = process_of(service);
  return pid != 0 && ::kill(pid, signal) == 0;
}

std::string RunningMall::address_of(const std::string& gateway) const {
  std::ifstream file{daemon_.runtime_dir() + "/mall/" + gateway + ".address"};
  std::string address;
  std::getline(file, address);
  return address;
}

std::shared_ptr<grpc::Channel> RunningMall::channel(const std::string& service) {
  const std::scoped_lock lock{mutex_};
  auto& channel = channels_[service];
  if (!channel) channel = RpcServer::connect(daemon_.runtime_dir() + "/mall/" + service + ".sock");
  return channel;
}

void open_store(RunningMall& mall, const NewStore& store) {
  using Stores = storespb::StoresService::Stub;
  google::protobuf::Empty done;
  const auto expect = [](const grpc::Status& status) {
    EXPECT_TRUE(status.ok()) << status.error_message();
  };
  storespb::CreateStoreRequest made;
  made.set_id(store.id);
  made.set_name(store.name);
  made.set_location(store.location);
  expect(mall.ask("stores", &Stores::CreateStore, made, &done));
  storespb::StoreRequest same;
  same.set_id(store.id);
  expect(mall.ask("stores", &Stores::RequestParticipation, same, &done));
  expect(mall.ask("stores", &Stores::ApproveParticipation, same, &done));
  for (const auto& [id, price] : store.products) {
    storespb::AddProductRequest product;
    product.set_id(id);
    product.set_store_id(store.id);
    product.set_name(id);
    product.set_sku(id);
    *product.mutable_price() = pence(price);
    expect(mall.ask("stores", &Stores::AddProduct, product, &done));
  }
}

orderspb::Cart fill_cart(RunningMall& mall, const std::string& id,
                         const std::vector<std::pair<std::string, int>>& products) {
  using Orders = orderspb::OrdersService::Stub;
  orderspb::CartRequest cart;
  cart.set_id(id);
  orderspb::Cart now;
  EXPECT_TRUE(mall.ask("orders", &Orders::StartCart, cart, &now).ok());
  for (const auto& [product, quantity] : products) {
    orderspb::SetQuantityRequest line;
    line.set_id(id);
    line.set_product_id(product);
    line.set_quantity(quantity);
    // Orders hears of products by events.
    EXPECT_TRUE(mall.ask("orders", &Orders::SetQuantity, line, &now, true).ok()) << product;
  }
  return now;
}

// --- Story

#define ASK(...)                                          \
  do {                                                    \
    const grpc::Status status_ = mall_->ask(__VA_ARGS__); \
    ASSERT_TRUE(status_.ok()) << status_.error_message(); \
  } while (false)

void Story::open_store() {
  test::open_store(*mall_, {"s1", "Tea House", "10,4", {{"mug", 250}, {"cake", 199}}});
}

void Story::fill_cart() {
  ASSERT_EQ(test::fill_cart(*mall_, order_, {{"mug", 2}, {"cake", 1}}).total().minor(), 699);
}

void Story::check_out(const CheckOut& with) {
  customerspb::FindOrRegisterRequest who;
  who.set_name("Ada");
  who.set_sms_number("+442079460000");
  customerspb::CustomerRequest customer;
  ASK("customers", &customerspb::CustomersService::Stub::FindOrRegister, who, &customer);
  google::protobuf::Empty done;
  paymentspb::AuthorizeRequest hold;
  hold.set_id(with.payment.empty() ? "payment-" + order_ : with.payment);
  hold.set_customer_id(customer.id());
  hold.set_card_token("tok_1");
  *hold.mutable_amount() = pence(with.held);
  ASK("payments", &paymentspb::PaymentsService::Stub::Authorize, hold, &done);
  orderspb::CheckOutCartRequest out;
  out.set_id(order_);
  out.set_customer_id(customer.id());
  out.set_payment_id(hold.id());
  *out.mutable_confirmed_total() = pence(699);
  ASK("orders", &orderspb::OrdersService::Stub::CheckOutCart, out, &done);
}

orderspb::Order Story::order() {
  orderspb::OrderRequest request;
  request.set_id(order_);
  orderspb::Order order;
  static_cast<void>(
      mall_->ask("orders", &orderspb::OrdersService::Stub::GetOrder, request, &order, true));
  return order;
}

paymentspb::Invoice Story::invoice() {
  paymentspb::InvoiceRequest request;
  request.set_id(order_);
  paymentspb::Invoice invoice;
  static_cast<void>(mall_->ask("payments", &paymentspb::PaymentsService::Stub::GetInvoice, request,
                               &invoice, true));
  return invoice;
}

void Story::wait_for(const std::string& status) {
  orderspb::Order now;
  EXPECT_TRUE(eventually(
      [&] {
        now = order();
        return now.status() == status;
      },
      40))
      << "it is " << now.status() << ", not " << status << ' ' << now.reason() << mall_->log();
}

void Story::report(depotpb::ReportRequest report) {
  report.set_bot_id("b1");
  report.set_epoch(epoch_);
  report.set_list_id(list_);
  report.set_sequence(++sequence_);
  google::protobuf::Empty done;
  ASK("depot", &depotpb::DepotService::Stub::Report, report, &done);
}

void Story::start_shopping() {
  depotpb::HelloRequest hello;
  hello.set_bot_id("b1");
  hello.set_name("Robbie");
  depotpb::HelloResponse welcome;
  ASK("depot", &depotpb::DepotService::Stub::Hello, hello, &welcome);
  epoch_ = welcome.epoch();
  list_ = order().shopping_id();
  ASSERT_EQ(welcome.list_id(), list_);
  depotpb::ReportRequest started;
  started.mutable_started();
  report(started);
}

void Story::bring_it_in() {
  depotpb::ReportRequest arrived;
  arrived.mutable_arrived_at_store()->set_store_id("s1");
  report(arrived);
  depotpb::ReportRequest picked;
  picked.mutable_items_picked()->set_store_id("s1");
  depotpb::TakeInventoryRequest inventory;
  inventory.set_list_id(list_);
  for (const auto& [id, quantity] : {std::pair{"mug", 2}, std::pair{"cake", 1}}) {
    auto& item = *picked.mutable_items_picked()->add_items();
    item.set_product_id(id);
    item.set_picked(quantity);
    auto& counted = *inventory.add_counted();
    counted.set_product_id(id);
    counted.set_quantity(quantity);
  }
  report(picked);
  depotpb::ReportRequest home;
  home.mutable_arrived_at_depot();
  report(home);
  google::protobuf::Empty done;
  ASK("depot", &depotpb::DepotService::Stub::TakeInventory, inventory, &done);
}

void Story::pay() {
  paymentspb::PayRequest request;
  request.set_invoice_id(order_);
  request.set_by("card");
  google::protobuf::Empty done;
  ASK("payments", &paymentspb::PaymentsService::Stub::Pay, request, &done, true);
}

void Story::carry_away() {
  orderspb::OrderRequest request;
  request.set_id(order_);
  google::protobuf::Empty done;
  // Until orders has heard that it is ready and paid.
  ASK("orders", &orderspb::OrdersService::Stub::ReleaseOrder, request, &done, true);
}

std::vector<std::string> Story::history() {
  const auto connection =
      client::Connection::open({.runtime_dir = mall_->daemon().runtime_dir()}).value();
  const auto store = client::EventStore::open(*connection, "mallbots.orders.events.Order").value();
  const auto events = store->read("order-" + order_).value();
  std::vector<std::string> names;
  for (const client::StreamEvent& event : events)
    names.emplace_back(toolkit::Message{event.message.view()}.name());
  return names;
}

}  // namespace mallbots::test
