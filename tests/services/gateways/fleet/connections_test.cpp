// What the README promises of one connection over time: directives that nobody acked, robots that
// take nothing, robots that fall silent.
#include <chrono>
#include <thread>

#include "tests/services/gateways/fleet/fleet_fixture.h"

namespace mallbots::test {
namespace {

using fleet::Ending;

class ConnectionsTest : public FleetTest {
 protected:
  void restart_depot(const Settings& settings) {
    stop_depot();
    depot_settings_ = settings;
    start_depot();
  }
  [[nodiscard]] std::uint64_t ended(Ending why) const {
    const auto numbers = fleet_->numbers();
    const auto found = numbers.ended.find(why);
    return found == numbers.ended.end() ? 0 : found->second;
  }
  bool is_offline(const std::string& id) {
    return eventually([&] { return bot(id).status() == "offline"; }, 30);
  }
  /// From the first stop, which is begun, to the depot.
  static void bring(TestRobot& robot, const std::string& list) {
    robot.do_report(at_store(list, "s1"));
    robot.do_report(picked(list, "s1", 2));
    robot.do_report(at_depot(list));
  }
};

// --- Directives without an Ack

TEST_F(ConnectionsTest, ADirectiveComesAgainUnderItsNumberUntilItIsAcked) {
  const auto robbie = robot("b1");
  robbie->hello();
  const std::string id = list_of("o1");
  const auto offer = robbie->directive_without_ack();
  EXPECT_EQ(offer.number(), 1U);
  EXPECT_EQ(offer.offer().list_id(), id);
  for (int again = 0; again < 2; ++again) {
    EXPECT_EQ(robbie->directive_without_ack().SerializeAsString(), offer.SerializeAsString());
  }
  robbie->ack(1);
  robbie->do_report(started(id));  // and so the Ack has been heard
  const std::uint64_t resent = fleet_->numbers().resent;
  EXPECT_GE(resent, 2U);
  // sleep: longer than it takes to send one again
  std::this_thread::sleep_for(std::chrono::milliseconds{2'500});
  EXPECT_EQ(fleet_->numbers().resent, resent);
  EXPECT_EQ(fleet_->numbers().directives, 1U);
}

TEST_F(ConnectionsTest, AnAckCoversAllBeforeIt) {
  const auto robbie = robot("b1");
  robbie->hello();
  const std::string id = list_of("o1");
  EXPECT_EQ(robbie->directive_without_ack().number(), 1U);
  cancel("o1", id);
  auto released = robbie->directive_without_ack();
  while (released.number() == 1) released = robbie->directive_without_ack();
  EXPECT_EQ(released.number(), 2U);
  EXPECT_EQ(released.released().list_id(), id);
  robbie->ack(2);
  const std::string next = list_of("o2");
  auto offer = robbie->directive_without_ack();
  while (offer.number() < 3) offer = robbie->directive_without_ack();  // on its way already
  EXPECT_EQ(offer.offer().list_id(), next);
  // What comes again now is the third alone.
  EXPECT_EQ(robbie->directive_without_ack().number(), 3U);
}

// Neither the offer nor the robot's own report was heard of again before the line broke.
TEST_F(ConnectionsTest, AnUnackedOfferComesAgainAfterANewConnectionAndIsCarriedOutOnce) {
  auto robbie = robot("b1");
  robbie->hello();
  const std::string id = list_of("o1");
  EXPECT_EQ(robbie->directive_without_ack().number(), 1U);
  robbie->die();

  robbie = robot("b1");
  EXPECT_EQ(robbie->hello().list_to_resume(), id);
  auto offer = robbie->directive_without_ack();
  EXPECT_EQ(offer.number(), 1U);
  EXPECT_EQ(offer.epoch(), 2U);
  EXPECT_EQ(offer.offer().list_id(), id);
  EXPECT_FALSE(offer.offer().is_begun());
  auto begun = started(id);
  begun.set_sequence(1);
  robbie->send(begun);
  wait_for_status(id, "active");
  robbie->die();  // with the answer unread and the offer unacked

  robbie = robot("b1");
  EXPECT_EQ(robbie->hello(id).last_sequence(), 1U);
  offer = robbie->directive_without_ack();
  EXPECT_EQ(offer.number(), 1U);
  EXPECT_EQ(offer.epoch(), 3U);
  EXPECT_TRUE(offer.offer().is_begun());
  robbie->ack(1);
  robbie->send(begun);  // the same again, as it was not answered
  EXPECT_EQ(robbie->answer().done().sequence(), 1U);
  bring(*robbie, id);
  take_inventory(id, 2);
  EXPECT_EQ(robbie->directive().released().list_id(), id);
  EXPECT_EQ(list(id).stops(0).items(0).picked(), 2);
  EXPECT_EQ(bot("b1").status(), "idle");
}

// --- Robots that take nothing

TEST_F(ConnectionsTest, WhoReadsNothingIsCutAndHoldsUpNobody) {
  const auto stuck = robot("b1");
  stuck->hello();
  const auto other = robot("b2");
  other->hello();
  // Each is answered with a refusal that is not read.
  std::jthread talking([&stuck] {
    for (int i = 0; i < 1'000'000; ++i) {
      if (!stuck->send({})) return;
    }
  });
  ASSERT_TRUE(eventually(
      [&] {
        other->send(heartbeat(1, 1));
        return ended(Ending::kSlow) == 1;
      },
      30));
  EXPECT_EQ(other->report(started("none")).reject().code(), fleetpb::UNKNOWN);
  EXPECT_TRUE(is_offline("b1"));
  talking.join();  // its line is dead, or it would talk on
  EXPECT_FALSE(stuck->finish().ok());
  EXPECT_EQ(fleet_->numbers().open, 1U);
  // It may come back.
  EXPECT_EQ(robot("b1")->hello().last_sequence(), 0U);
}

TEST_F(ConnectionsTest, WhoAcksNothingIsToldWhyItIsCut) {
  const auto robbie = robot("b1");
  robbie->hello();
  std::uint64_t number = 0;
  const auto next_number = [&] {
    while (const auto message = robbie->read()) {
      if (message->number() > number) return number = message->number();
    }
    return std::uint64_t{0};
  };
  // An offer and its withdrawal each: two directives.
  for (int i = 0; i < 32; ++i) {
    robbie->send(heartbeat(1, 1));
    const std::string order = "o" + std::to_string(i);
    const std::string id = list_of(order);
    ASSERT_NE(next_number(), 0U);
    cancel(order, id);
    ASSERT_NE(next_number(), 0U);
  }
  EXPECT_EQ(number, 64U);
  EXPECT_EQ(ended(Ending::kSlow), 0U);
  list_of("one too many");
  EXPECT_EQ(robbie->finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ended(Ending::kSlow), 1U);
  EXPECT_TRUE(is_offline("b1"));
}

// --- Robots that fall silent

TEST_F(ConnectionsTest, ThreeMissedHeartbeatsAreTheEndAndAnotherRobotGoesOn) {
  restart_depot({{"depot.heartbeat_ms", "1000"}, {"depot.stranded_ms", "300"}});
  const std::string id = list_of("o1", {"s1", "s2"});
  const auto robbie = robot("b1");
  EXPECT_EQ(robbie->hello().heartbeat_ms(), 1'000);
  robbie->directive();
  robbie->do_report(started(id));
  robbie->do_report(at_store(id, "s1"));
  robbie->do_report(picked(id, "s1", 2));
  // Its line stands, and it says nothing any more.
  EXPECT_EQ(robbie->finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(ended(Ending::kSilent), 1U);
  EXPECT_TRUE(is_offline("b1"));

  const auto second = robot("b2");
  second->hello();
  const auto offer = second->directive().offer();
  EXPECT_EQ(offer.list_id(), id);
  EXPECT_EQ(offer.stops(0).state(), fleetpb::Stop::DONE);
  second->do_report(started(id));
  second->do_report(at_store(id, "s2"));
  second->do_report(picked(id, "s2", 2));
  second->do_report(at_depot(id));
  EXPECT_EQ(list(id).bot_id(), "b2");
}

TEST_F(ConnectionsTest, HeartbeatsAloneKeepAConnection) {
  restart_depot({{"depot.heartbeat_ms", "1000"}});
  const auto robbie = robot("b1");
  robbie->hello();
  for (int i = 0; i < 25; ++i) {
    // sleep: 5 s in all, where silence may last 3 s
    std::this_thread::sleep_for(std::chrono::milliseconds{200});
    ASSERT_TRUE(robbie->send(heartbeat(i, 1)));
  }
  EXPECT_EQ(bot("b1").status(), "idle");
  EXPECT_EQ(bot("b1").epoch(), 1U);
  EXPECT_EQ(fleet_->numbers().open, 1U);
  EXPECT_EQ(ended(Ending::kSilent), 0U);
}

// The gateway itself is gone, with all its connections: the depot misses the heartbeats.
TEST_F(ConnectionsTest, RobotsOfAGatewayThatDoesNotComeBackAreMissedByTheDepot) {
  restart_depot({{"depot.heartbeat_ms", "1000"}, {"depot.stranded_ms", "300"}});
  const std::string id = list_of("o1");
  const auto robbie = robot("b1");
  robbie->hello();
  robbie->directive();
  robbie->do_report(started(id));
  stop_gateway();
  EXPECT_EQ(robbie->finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(is_offline("b1"));
  wait_for_status(id, "available");
  start_gateway();
  const auto second = robot("b2");
  second->hello();
  EXPECT_EQ(second->directive().offer().list_id(), id);
}

}  // namespace
}  // namespace mallbots::test
