#include <algorithm>

#include "tests/services/mall/mall_fixture.h"
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

using Stub = depotpb::DepotService::Stub;

std::string name_of(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
      return "";
    case grpc::StatusCode::FAILED_PRECONDITION:
      return "FAILED_PRECONDITION";
    case grpc::StatusCode::PERMISSION_DENIED:
      return "PERMISSION_DENIED";
    case grpc::StatusCode::ABORTED:
      return "ABORTED";
    default:
      return std::to_string(status.error_code()) + ": " + status.error_message();
  }
}

depotpb::Bot seen(RunningMall& mall, const std::string& id) {
  depotpb::BotRequest request;
  request.set_id(id);
  depotpb::Bot bot;
  static_cast<void>(mall.ask("depot", &Stub::GetBot, request, &bot));
  return bot;
}

depotpb::ShoppingList seen_list(RunningMall& mall, const std::string& id) {
  depotpb::ListRequest request;
  request.set_id(id);
  depotpb::ShoppingList list;
  EXPECT_TRUE(mall.ask("depot", &Stub::GetList, request, &list).ok());
  return list;
}

}  // namespace

void Robot::connect() {
  depotpb::HelloRequest hello;
  hello.set_bot_id(id_);
  hello.set_name("Robbie");
  depotpb::HelloResponse welcome;
  const auto status = scene_->mall().ask("depot", &Stub::Hello, hello, &welcome);
  EXPECT_TRUE(status.ok()) << status.error_message();
  epoch_ = welcome.epoch();
  list_ = welcome.list_id();
  sequence_ = welcome.last_sequence();
}

bool Robot::has_list() {
  list_ = seen(scene_->mall(), id_).list_id();
  return !list_.empty();
}

void Robot::wait_for_list() {
  EXPECT_TRUE(eventually([this] { return has_list(); }, 30)) << id_ << " gets no list";
}

std::string Robot::status() { return seen(scene_->mall(), id_).status(); }

std::string Robot::send(const Report& report) {
  depotpb::ReportRequest request;
  request.set_bot_id(id_);
  request.set_epoch(report.epoch);
  request.set_list_id(list_);
  request.set_sequence(report.sequence);
  switch (report.what) {
    case Report::What::kStarted:
      request.mutable_started();
      break;
    case Report::What::kArrived:
      request.mutable_arrived_at_store()->set_store_id(report.store);
      break;
    case Report::What::kPicked:
      request.mutable_items_picked()->set_store_id(report.store);
      for (const Picked& item : report.items) {
        auto& entry = *request.mutable_items_picked()->add_items();
        entry.set_product_id(item.product);
        entry.set_picked(item.picked);
        entry.set_unavailable(item.unavailable);
      }
      break;
    case Report::What::kHome:
      request.mutable_arrived_at_depot();
      break;
    case Report::What::kEmptied:
      request.mutable_emptied();
      break;
  }
  google::protobuf::Empty done;
  return name_of(scene_->mall().ask("depot", &Stub::Report, request, &done));
}

std::string Robot::tell(Report report) {
  report.epoch = epoch_;
  report.sequence = ++sequence_;
  last_ = std::move(report);
  return send(last_);
}

std::string Robot::repeat(bool by_old_connection) {
  Report again = last_;
  if (!by_old_connection) again.epoch = epoch_;
  return send(again);
}

std::string Robot::start() { return tell({.what = Report::What::kStarted}); }
std::string Robot::arrive(const std::string& store) {
  return tell({.what = Report::What::kArrived, .store = store});
}
std::string Robot::pick(const std::string& store, const std::vector<Picked>& items) {
  return tell({.what = Report::What::kPicked, .store = store, .items = items});
}
std::string Robot::return_home() { return tell({.what = Report::What::kHome}); }
std::string Robot::empty_cargo() { return tell({.what = Report::What::kEmptied}); }

void Robot::vanish() {
  depotpb::BotConnection connection;
  connection.set_bot_id(id_);
  connection.set_epoch(epoch_);
  google::protobuf::Empty done;
  EXPECT_TRUE(scene_->mall().ask("depot", &Stub::StreamEnded, connection, &done).ok());
}

std::vector<std::string> Robot::stops() {
  std::vector<std::string> stops;
  const auto list = seen_list(scene_->mall(), list_);
  for (const auto& stop : list.stops()) stops.push_back(stop.store_id() + " " + stop.state());
  return stops;
}

Quantities Robot::fetch(const std::vector<std::string>& missing) {
  Quantities cargo;
  EXPECT_EQ(start(), "");
  const auto list = seen_list(scene_->mall(), list_);
  for (const auto& stop : list.stops()) {
    if (stop.state() == "done") continue;
    std::vector<Picked> items;
    for (const auto& item : stop.items()) {
      const bool is_there = std::ranges::find(missing, item.product_id()) == missing.end();
      items.push_back(
          {item.product_id(), is_there ? item.quantity() : 0, is_there ? 0 : item.quantity()});
      if (is_there) cargo[item.product_id()] += item.quantity();
    }
    EXPECT_EQ(arrive(stop.store_id()), "");
    EXPECT_EQ(pick(stop.store_id(), items), "");
  }
  EXPECT_EQ(return_home(), "");
  return cargo;
}

}  // namespace mallbots::test
