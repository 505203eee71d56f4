// Robots, the fleet gateway and the depot, over gRPC and a broker.
#include "tests/services/gateways/fleet/fleet_fixture.h"

namespace mallbots::test {
namespace {

TEST_F(FleetTest, FromTheOfferToTheCount) {
  const auto robbie = robot("b1");
  EXPECT_EQ(robbie->hello().list_to_resume(), "");
  const std::string id = list_of("o1");
  const auto offer = robbie->directive();
  ASSERT_TRUE(offer.has_offer()) << offer.DebugString();
  EXPECT_EQ(offer.offer().list_id(), id);
  EXPECT_FALSE(offer.offer().is_begun());
  ASSERT_EQ(offer.offer().stops_size(), 1);
  EXPECT_EQ(offer.offer().stops(0).store_location(), "10,4");
  EXPECT_EQ(offer.offer().stops(0).items(0).quantity(), 2);
  robbie->do_report(accept(id));
  robbie->do_report(started(id));
  robbie->do_report(at_store(id, "s1"));
  robbie->do_report(picked(id, "s1", 1, 1));
  robbie->do_report(at_depot(id));
  EXPECT_EQ(list(id).phase(), "at-depot");
  take_inventory(id, 1);
  const auto released = robbie->directive();
  ASSERT_TRUE(released.has_released()) << released.DebugString();
  EXPECT_EQ(released.number(), offer.number() + 1);
  EXPECT_EQ(bot("b1").status(), "idle");
  // The next one comes over the same stream.
  const std::string next = list_of("o2");
  EXPECT_EQ(robbie->directive().offer().list_id(), next);
}

TEST_F(FleetTest, AWrongSecretIsRefusedAndChangesNoEpoch) {
  const auto robbie = robot("b1");
  robbie->hello();
  TestRobot thief(fleet_->port(), "b1", std::string(64, '0'));
  thief.say_hello();
  EXPECT_EQ(thief.read().value().reject().code(), fleetpb::NOT_ADMITTED);
  EXPECT_EQ(thief.finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  TestRobot stranger(fleet_->port(), "nobody", std::string(64, '0'));
  stranger.say_hello();
  EXPECT_EQ(stranger.read().value().reject().code(), fleetpb::NOT_ADMITTED);
  EXPECT_EQ(bot("b1").epoch(), 1U);
  EXPECT_EQ(bot("b1").status(), "idle");
  EXPECT_EQ(robbie->report(accept("none")).reject().code(), fleetpb::UNKNOWN);
}

TEST_F(FleetTest, ARevokedRobotStaysOutside) {
  robot("b1")->hello();
  gateways::Devices devices(gateways::devices_file(daemon_.folder() / "shop"));
  ASSERT_TRUE(devices.revoke(gateways::DeviceKind::kBot, "b1").value());
  const auto again = robot("b1");
  again->say_hello();
  EXPECT_EQ(again->read().value().reject().code(), fleetpb::NOT_ADMITTED);
}

TEST_F(FleetTest, TheOlderConnectionOfARobotIsFenced) {
  const auto first = robot("b1");
  first->hello();
  const auto second = robot("b1");
  second->hello();
  EXPECT_EQ(first->answer().reject().code(), fleetpb::FENCED);
  EXPECT_EQ(first->finish().error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(bot("b1").epoch(), 2U);
  EXPECT_EQ(bot("b1").status(), "idle");
  EXPECT_TRUE(second->report(accept("none")).has_reject());
}

TEST_F(FleetTest, IllegalMovesAreRefusedWithACodeAndTheStreamLives) {
  const auto robbie = robot("b1");
  robbie->hello();
  const std::string id = list_of("o1");
  EXPECT_EQ(robbie->directive().offer().list_id(), id);
  EXPECT_EQ(robbie->report(at_depot(id)).reject().code(), fleetpb::WRONG_STATE);
  EXPECT_EQ(robbie->report(started("none")).reject().code(), fleetpb::UNKNOWN);
  EXPECT_EQ(robbie->report(at_store(id, "s9")).reject().code(), fleetpb::INVALID);
  EXPECT_EQ(robbie->report(emptied(id)).reject().code(), fleetpb::WRONG_STATE);
  robbie->do_report(started(id));
  EXPECT_EQ(robbie->report(decline(id)).reject().code(), fleetpb::WRONG_STATE);
  robbie->do_report(at_store(id, "s1"));
  EXPECT_EQ(robbie->report(picked(id, "s1", 3)).reject().code(), fleetpb::INVALID);
  EXPECT_EQ(robbie->report(picked(id, "s1", -1, 3)).reject().code(), fleetpb::INVALID);
  // Numbers: none, and one that leaves a gap.
  robbie->send(at_depot(id));
  EXPECT_EQ(robbie->answer().reject().code(), fleetpb::INVALID);
  auto gap = at_depot(id);
  gap.set_sequence(robbie->sequence + 2);
  robbie->send(gap);
  EXPECT_EQ(robbie->answer().reject().code(), fleetpb::INVALID);
  robbie->send({});
  EXPECT_EQ(robbie->answer().reject().code(), fleetpb::INVALID);
  robbie->say_hello();
  EXPECT_EQ(robbie->answer().reject().code(), fleetpb::INVALID);
  robbie->do_report(picked(id, "s1", 2));
  robbie->do_report(at_depot(id));
}

TEST_F(FleetTest, BeforeItsHelloARobotIsToldToSayIt) {
  const auto robbie = robot("b1");
  auto early = started("x");
  early.set_sequence(1);
  robbie->send(early);
  EXPECT_EQ(robbie->read().value().reject().code(), fleetpb::SAY_HELLO);
  robbie->hello();
}

// Scenario 11 of the shop: a robot reconnects and says its last message again.
TEST_F(FleetTest, AReplayAfterANewConnectionIsAnsweredTheSameAndChangesNothing) {
  auto robbie = robot("b1");
  robbie->hello();
  const std::string id = list_of("o1");
  robbie->directive();
  robbie->do_report(started(id));
  EXPECT_EQ(robbie->report(at_depot(id)).reject().code(), fleetpb::WRONG_STATE);
  robbie->do_report(at_store(id, "s1"));
  robbie->do_report(picked(id, "s1", 2));
  robbie->do_report(at_depot(id));
  robbie->die();
  take_inventory(id, 2);  // meanwhile

  robbie = robot("b1");
  EXPECT_EQ(robbie->hello(id).last_sequence(), 5U);
  EXPECT_EQ(robbie->directive().released().list_id(), id);
  const auto again = [&](fleetpb::FromRobot message, std::uint64_t number) {
    message.set_sequence(number);
    robbie->send(message);
    return robbie->answer();
  };
  EXPECT_EQ(again(started(id), 1).done().sequence(), 1U);
  EXPECT_EQ(again(at_depot(id), 2).reject().code(), fleetpb::WRONG_STATE);
  EXPECT_EQ(again(at_depot(id), 5).done().sequence(), 5U);
  EXPECT_EQ(list(id).status(), "completed");
  EXPECT_EQ(bot("b1").status(), "idle");
}

// Scenario 9: a robot dies before it has started.
TEST_F(FleetTest, AnOfferOfARobotThatDiesGoesToAnother) {
  stop_depot();
  depot_settings_ = {{"depot.offer_ms", "300"}};
  start_depot();
  auto first = robot("b1");
  first->hello();
  const std::string id = list_of("o1");
  EXPECT_EQ(first->directive().offer().list_id(), id);
  first->die();
  const auto second = robot("b2");
  second->hello();
  EXPECT_EQ(second->directive().offer().list_id(), id);
  second->do_report(accept(id));
  second->do_report(started(id));
  // The first one comes back and believes that it has the list.
  first = robot("b1");
  first->hello(id);
  EXPECT_EQ(first->directive().released().list_id(), id);
  EXPECT_EQ(first->report(started(id)).reject().code(), fleetpb::NOT_YOURS);
  EXPECT_EQ(list(id).bot_id(), "b2");
}

// Scenario 10: a robot dies half-way, another finishes the remaining stops.
TEST_F(FleetTest, AnotherRobotFinishesWhatIsLeft) {
  stop_depot();
  depot_settings_ = {{"depot.stranded_ms", "300"}};
  start_depot();
  auto first = robot("b1");
  first->hello();
  const std::string id = list_of("o1", {"s1", "s2"});
  first->directive();
  first->do_report(started(id));
  first->do_report(at_store(id, "s1"));
  first->do_report(picked(id, "s1", 2));
  first->die();
  const auto second = robot("b2");
  second->hello();
  const auto offer = second->directive().offer();
  EXPECT_EQ(offer.list_id(), id);
  EXPECT_EQ(offer.stops(0).state(), fleetpb::Stop::DONE);
  EXPECT_EQ(offer.stops(1).state(), fleetpb::Stop::WAITING);
  second->do_report(started(id));
  second->do_report(at_store(id, "s2"));
  first = robot("b1");
  first->hello(id);
  EXPECT_EQ(first->directive().released().list_id(), id);
  EXPECT_EQ(first->report(at_store(id, "s2")).reject().code(), fleetpb::NOT_YOURS);
  second->do_report(picked(id, "s2", 2));
  second->do_report(at_depot(id));
}

TEST_F(FleetTest, ACanceledListIsBroughtBack) {
  const auto robbie = robot("b1");
  robbie->hello();
  const std::string id = list_of("o1");
  robbie->directive();
  robbie->do_report(started(id));
  cancel("o1", id);
  EXPECT_EQ(robbie->directive().cancel().list_id(), id);
  EXPECT_EQ(bot("b1").status(), "active");
  robbie->do_report(emptied(id));
  EXPECT_EQ(bot("b1").status(), "idle");
  // One that has not begun has nothing to bring back.
  const std::string next = list_of("o2");
  EXPECT_EQ(robbie->directive().offer().list_id(), next);
  cancel("o2", next);
  EXPECT_EQ(robbie->directive().released().list_id(), next);
}

TEST_F(FleetTest, ARestartOfTheGatewayLosesNothing) {
  auto robbie = robot("b1");
  robbie->hello();
  auto waiting = robot("b2");
  waiting->hello();
  const std::string id = list_of("o1", {"s1", "s2"});
  robbie->directive();
  robbie->do_report(started(id));
  robbie->do_report(at_store(id, "s1"));
  stop_gateway();
  EXPECT_EQ(robbie->finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  // While nobody is at the door: an offer, and the end of nothing.
  const std::string next = list_of("o2");
  wait_for_status(next, "assigned");
  EXPECT_EQ(list(id).bot_id(), "b1");
  start_gateway();
  robbie = robot("b1");
  EXPECT_EQ(robbie->hello(id).list_to_resume(), id);
  const auto resumed = robbie->directive().offer();
  EXPECT_TRUE(resumed.is_begun());
  EXPECT_EQ(resumed.stops(0).state(), fleetpb::Stop::ARRIVED);
  waiting = robot("b2");
  waiting->hello();
  EXPECT_EQ(waiting->directive().offer().list_id(), next);
  robbie->do_report(picked(id, "s1", 2));
}

TEST_F(FleetTest, ARestartOfTheDepotIsWaitedFor) {
  const auto robbie = robot("b1");
  robbie->hello();
  const std::string id = list_of("o1");
  robbie->directive();
  stop_depot();
  auto report = started(id);
  report.set_sequence(++robbie->sequence);
  robbie->send(report);
  start_depot();
  EXPECT_EQ(robbie->answer().done().sequence(), 1U);
  EXPECT_EQ(list(id).status(), "active");
}

}  // namespace
}  // namespace mallbots::test
