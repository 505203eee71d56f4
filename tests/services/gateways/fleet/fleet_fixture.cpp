#include "tests/services/gateways/fleet/fleet_fixture.h"

#include <chrono>
#include <thread>

#include "clients/toolkit/cqrs/buses.h"
#include "services/depot/contract.h"
#include "services/depot/service.h"
#include "services/orders/contract.h"

namespace mallbots::test {
namespace {

constexpr std::chrono::seconds kPatience{60};

template <class Request, class Response, class Call>
Response ask(depotpb::DepotService::Stub& stub, const Call& call, const Request& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  context.AddMetadata("request-id", toolkit::new_message_id());
  Response response;
  const grpc::Status status = (stub.*call)(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

}  // namespace

// --- TestRobot

std::shared_ptr<grpc::Channel> channel_to(
    int port, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetSslTargetNameOverride("localhost");  // whom the certificates of tests name
  return grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port), credentials, arguments);
}

TestRobot::TestRobot(const std::shared_ptr<grpc::Channel>& channel, std::string id,
                     std::string secret)
    : id_(std::move(id)), secret_(std::move(secret)) {
  stub_ = fleetpb::Fleet::NewStub(channel);
  context_.set_deadline(std::chrono::system_clock::now() + kPatience);
  stream_ = stub_->Connect(&context_);
}

TestRobot::~TestRobot() { die(); }

void TestRobot::say_hello(const std::string& list_in_hand) {
  fleetpb::FromRobot message;
  fleetpb::Hello* hello = message.mutable_hello();
  hello->set_bot_id(id_);
  hello->set_name("Robot " + id_);
  hello->set_secret(secret_);
  hello->set_list_in_hand(list_in_hand);
  send(message);
}

fleetpb::Welcome TestRobot::hello(const std::string& list_in_hand) {
  say_hello(list_in_hand);
  const auto message = read();
  EXPECT_TRUE(message && message->has_welcome()) << (message ? message->DebugString() : "over");
  if (!message) return {};
  sequence = message->welcome().last_sequence();
  return message->welcome();
}

bool TestRobot::send(const fleetpb::FromRobot& message) { return stream_->Write(message); }

std::optional<fleetpb::ToRobot> TestRobot::read() {
  fleetpb::ToRobot message;
  if (!stream_->Read(&message)) return std::nullopt;
  return message;
}

fleetpb::ToRobot TestRobot::directive_without_ack() {
  for (;;) {
    const auto message = read();
    if (!message) {
      ADD_FAILURE() << "the stream is over";
      return {};
    }
    if (message->number() != 0) return *message;
  }
}

fleetpb::ToRobot TestRobot::directive() {
  fleetpb::ToRobot said = directive_without_ack();
  ack(said.number());
  return said;
}

fleetpb::ToRobot TestRobot::report(fleetpb::FromRobot message) {
  message.set_sequence(++sequence);
  send(message);
  return answer();
}

void TestRobot::do_report(const fleetpb::FromRobot& message) {
  const fleetpb::ToRobot said = report(message);
  EXPECT_TRUE(said.has_done()) << message.ShortDebugString() << " -> " << said.ShortDebugString();
}

void TestRobot::ack(std::uint64_t number) { send(ack_of(number)); }

void TestRobot::die() {
  if (is_over_) return;
  context_.TryCancel();
  finish();
}

grpc::Status TestRobot::finish() {
  is_over_ = true;
  fleetpb::ToRobot rest;
  while (stream_->Read(&rest)) {
  }
  return stream_->Finish();
}

// --- What robots say

fleetpb::FromRobot ack_of(std::uint64_t number) {
  fleetpb::FromRobot message;
  message.mutable_ack()->set_number(number);
  return message;
}

fleetpb::FromRobot accept(const std::string& list) {
  fleetpb::FromRobot message;
  message.mutable_accept()->set_list_id(list);
  return message;
}
fleetpb::FromRobot decline(const std::string& list) {
  fleetpb::FromRobot message;
  message.mutable_decline()->set_list_id(list);
  return message;
}
fleetpb::FromRobot started(const std::string& list) {
  fleetpb::FromRobot message;
  message.mutable_started()->set_list_id(list);
  return message;
}
fleetpb::FromRobot at_store(const std::string& list, const std::string& store) {
  fleetpb::FromRobot message;
  message.mutable_arrived_at_store()->set_list_id(list);
  message.mutable_arrived_at_store()->set_store_id(store);
  return message;
}
fleetpb::FromRobot picked(const std::string& list, const std::string& store, int count,
                          int missing) {
  fleetpb::FromRobot message;
  fleetpb::ItemsPicked* what = message.mutable_items_picked();
  what->set_list_id(list);
  what->set_store_id(store);
  fleetpb::PickedItem* item = what->add_items();
  item->set_product_id("mug");
  item->set_picked(count);
  item->set_unavailable(missing);
  return message;
}
fleetpb::FromRobot at_depot(const std::string& list) {
  fleetpb::FromRobot message;
  message.mutable_arrived_at_depot()->set_list_id(list);
  return message;
}
fleetpb::FromRobot emptied(const std::string& list) {
  fleetpb::FromRobot message;
  message.mutable_emptied()->set_list_id(list);
  return message;
}
fleetpb::FromRobot heartbeat(int x, int y) {
  fleetpb::FromRobot message;
  message.mutable_heartbeat()->mutable_position()->set_x(x);
  message.mutable_heartbeat()->mutable_position()->set_y(y);
  message.mutable_heartbeat()->set_battery_percent(90);
  return message;
}

// --- FleetTest

void FleetTest::SetUp() {
  ASSERT_TRUE(daemon_.start()) << daemon_.log();
  start_depot();
  start_gateway();
}

void FleetTest::TearDown() {
  stop_gateway();
  stop_depot();
}

std::unique_ptr<Host> FleetTest::open_host(const std::string& name, const Settings& settings) {
  auto host = Host::open({.name = name,
                          .runtime_dir = daemon_.runtime_dir(),
                          .data_dir = daemon_.folder() / "shop",
                          .settings = settings,
                          .log = [](const toolkit::LogLine&) {}});
  EXPECT_TRUE(host) << host.error().sentence();
  return std::move(*host);
}

void FleetTest::start_depot() {
  depot_host_ = open_host("depot", depot_settings_);
  auto made = depot::make_depot(*depot_host_);
  ASSERT_TRUE(made) << made.error().sentence();
  depot_ = std::move(*made);
  const auto begun = depot_host_->start();
  ASSERT_TRUE(begun) << begun.error().sentence();
  calls_ = depotpb::DepotService::NewStub(depot_host_->channel("depot"));
}

void FleetTest::stop_depot() {
  if (!depot_host_) return;
  calls_.reset();
  depot_host_->stop();
  depot_.reset();
  depot_host_.reset();
}

void FleetTest::start_gateway() {
  fleet_host_ = open_host("fleet", fleet_settings_);
  auto made = fleet::open_fleet(*fleet_host_);
  ASSERT_TRUE(made) << made.error().sentence();
  fleet_ = std::move(*made);
  const auto begun = fleet_host_->start();
  ASSERT_TRUE(begun) << begun.error().sentence();
}

void FleetTest::stop_gateway() {
  if (!fleet_host_) return;
  fleet_host_->stop();
  fleet_.reset();
  fleet_host_.reset();
}

std::unique_ptr<TestRobot> FleetTest::robot(const std::string& id) {
  if (!secrets_.contains(id)) {
    gateways::Devices devices(gateways::devices_file(daemon_.folder() / "shop"));
    secrets_[id] = devices.add(gateways::DeviceKind::kBot, id).value();
  }
  return std::make_unique<TestRobot>(fleet_->port(), id, secrets_[id]);
}

std::string FleetTest::list_of(const std::string& order, const std::vector<std::string>& stores) {
  const toolkit::CommandBus commands(depot::topic_names());
  depotapi::CreateShoppingList create;
  create.set_order_id(order);
  for (const std::string& store : stores) {
    depotapi::Item* item = create.add_items();
    item->set_product_id("mug");
    item->set_product_name("Mug");
    item->set_store_id(store);
    item->set_store_name("Store " + store);
    item->set_store_location("10,4");
    item->set_quantity(2);
  }
  EXPECT_TRUE(commands.send(depot_host_->bus(), create));
  std::string id;
  for (int i = 0; i < 3'000 && id.empty(); ++i) {
    const auto lists = ask<depotpb::ListShoppingListsRequest, depotpb::ListShoppingListsResponse>(
        *calls_, &depotpb::DepotService::Stub::ListShoppingLists, {});
    for (const auto& one : lists.lists()) {
      if (one.order_id() == order) id = one.id();
    }
    if (id.empty()) std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  EXPECT_FALSE(id.empty());
  depotapi::InitiateShopping initiate;
  initiate.set_id(id);
  EXPECT_TRUE(commands.send(depot_host_->bus(), initiate));
  return id;
}

void FleetTest::cancel(const std::string& order, const std::string& list) {
  depotapi::CancelShoppingList command;
  command.set_order_id(order);
  command.set_id(list);
  command.set_reason("changed my mind");
  EXPECT_TRUE(toolkit::CommandBus(depot::topic_names()).send(depot_host_->bus(), command));
}

void FleetTest::take_inventory(const std::string& list, int count) {
  depotpb::TakeInventoryRequest request;
  request.set_list_id(list);
  depotpb::ItemCount* counted = request.add_counted();
  counted->set_product_id("mug");
  counted->set_quantity(count);
  ask<depotpb::TakeInventoryRequest, google::protobuf::Empty>(
      *calls_, &depotpb::DepotService::Stub::TakeInventory, request);
}

depotpb::ShoppingList FleetTest::list(const std::string& id) {
  depotpb::ListRequest request;
  request.set_id(id);
  return ask<depotpb::ListRequest, depotpb::ShoppingList>(
      *calls_, &depotpb::DepotService::Stub::GetList, request);
}

depotpb::Bot FleetTest::bot(const std::string& id) {
  depotpb::BotRequest request;
  request.set_id(id);
  return ask<depotpb::BotRequest, depotpb::Bot>(*calls_, &depotpb::DepotService::Stub::GetBot,
                                                request);
}

void FleetTest::wait_for_status(const std::string& id, const std::string& status,
                                const std::string& phase) {
  for (int i = 0; i < 3'000; ++i) {
    const auto now = list(id);
    if (now.status() == status && (phase.empty() || now.phase() == phase)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  ADD_FAILURE() << "the list is " << list(id).status() << ", not " << status;
}

}  // namespace mallbots::test
