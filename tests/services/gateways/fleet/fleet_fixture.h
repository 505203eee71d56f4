// A depot and a fleet gateway over a broker of their own, each on a Host of its own as if they were
// two processes, and robots that a test holds in its hand.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/depot/api.grpc.pb.h"
#include "services/gateways/access/devices.h"
#include "services/gateways/fleet/fleet.grpc.pb.h"
#include "services/gateways/fleet/service.h"
#include "tests/support/daemon.h"

namespace mallbots::test {

using Settings = std::map<std::string, std::string, std::less<>>;

fleetpb::FromRobot ack_of(std::uint64_t number);

/// The next message of a stream that is an answer: directives are acked and passed over.
template <class Robot>
fleetpb::ToRobot answer_to(Robot& robot) {
  for (;;) {
    const std::optional<fleetpb::ToRobot> message = robot.read();
    if (!message) {
      ADD_FAILURE() << "the stream is over";
      return {};
    }
    if (message->number() == 0) return *message;
    robot.send(ack_of(message->number()));
  }
}

/// To a gateway on this machine, over a connection of its own.
std::shared_ptr<grpc::Channel> channel_to(int port,
                                          const std::shared_ptr<grpc::ChannelCredentials>&
                                              credentials = grpc::InsecureChannelCredentials());

/// One stream. It fails the test if it lasts longer than 60 s.
class TestRobot {
 public:
  TestRobot(const std::shared_ptr<grpc::Channel>& channel, std::string id, std::string secret);
  TestRobot(int port, std::string id, std::string secret)
      : TestRobot(channel_to(port), std::move(id), std::move(secret)) {}
  ~TestRobot();

  /// The Welcome; fails the test if there is none.
  fleetpb::Welcome hello(const std::string& list_in_hand = {});
  void say_hello(const std::string& list_in_hand = {});
  bool send(const fleetpb::FromRobot& message);
  /// The next message; nothing: the stream is over.
  std::optional<fleetpb::ToRobot> read();
  fleetpb::ToRobot answer() { return answer_to(*this); }
  /// Answers are passed over.
  fleetpb::ToRobot directive_without_ack();
  fleetpb::ToRobot directive();
  /// Sends it under the next number and waits for its answer.
  fleetpb::ToRobot report(fleetpb::FromRobot message);
  /// Fails the test unless it is Done.
  void do_report(const fleetpb::FromRobot& message);
  void ack(std::uint64_t number);
  /// Breaks the connection, as if the robot were dead.
  void die();
  grpc::Status finish();

  std::uint64_t sequence = 0;  ///< of the last report

 private:
  std::string id_;
  std::string secret_;
  std::unique_ptr<fleetpb::Fleet::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<fleetpb::FromRobot, fleetpb::ToRobot>> stream_;
  bool is_over_ = false;
};

// What robots say.
fleetpb::FromRobot accept(const std::string& list);
fleetpb::FromRobot decline(const std::string& list);
fleetpb::FromRobot started(const std::string& list);
fleetpb::FromRobot at_store(const std::string& list, const std::string& store);
fleetpb::FromRobot picked(const std::string& list, const std::string& store, int count,
                          int missing = 0);
fleetpb::FromRobot at_depot(const std::string& list);
fleetpb::FromRobot emptied(const std::string& list);
fleetpb::FromRobot heartbeat(int x, int y);

class FleetTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  std::unique_ptr<Host> open_host(const std::string& name, const Settings& settings);
  void start_depot();
  void stop_depot();
  void start_gateway();
  void stop_gateway();

  /// A robot with a credential; it has not said Hello.
  std::unique_ptr<TestRobot> robot(const std::string& id);
  /// An available list of one stop a store, two of "mug" in each.
  std::string list_of(const std::string& order, const std::vector<std::string>& stores = {"s1"});
  void cancel(const std::string& order, const std::string& list);
  void take_inventory(const std::string& list, int count);
  depotpb::ShoppingList list(const std::string& id);
  depotpb::Bot bot(const std::string& id);
  /// Until the depot says so.
  void wait_for_status(const std::string& list, const std::string& status,
                       const std::string& phase = {});

  Daemon daemon_;
  Settings depot_settings_;
  Settings fleet_settings_;
  std::unique_ptr<Host> depot_host_;
  std::unique_ptr<Service> depot_;
  std::unique_ptr<Host> fleet_host_;
  std::unique_ptr<fleet::FleetService> fleet_;
  std::unique_ptr<depotpb::DepotService::Stub> calls_;
  std::map<std::string, std::string> secrets_;
};

}  // namespace mallbots::test
