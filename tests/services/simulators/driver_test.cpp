// What one simulated robot does with what it is told twice, late or anew.
#include "services/simulators/bots/driver.h"

#include <gtest/gtest.h>

namespace mallbots::bots {
namespace {

constexpr DriverOptions kWellBehaved{
    .unavailable = 0, .decline = 0, .disconnect = 0, .twice = 0, .slow_ack = 0, .breakdown = 0};

fleetpb::ToRobot offer(std::uint64_t epoch, std::uint64_t number, bool is_begun = false) {
  fleetpb::ToRobot message;
  message.set_epoch(epoch);
  message.set_number(number);
  message.mutable_offer()->set_list_id("l1");
  message.mutable_offer()->set_is_begun(is_begun);
  fleetpb::Stop* stop = message.mutable_offer()->add_stops();
  stop->set_store_id("s1");
  stop->set_store_location("10,4");
  stop->add_items()->set_quantity(2);
  return message;
}

fleetpb::ToRobot done(std::uint64_t epoch, std::uint64_t sequence) {
  fleetpb::ToRobot message;
  message.set_epoch(epoch);
  message.mutable_done()->set_sequence(sequence);
  return message;
}

/// A robot that has a line and has said Hello.
class DriverTest : public testing::Test {
 protected:
  void welcome(std::uint64_t epoch, std::uint64_t last_sequence = 0) {
    driver_.connected(0);
    const auto said = driver_.take_messages();
    ASSERT_EQ(said.size(), 1U);
    ASSERT_TRUE(said[0].has_hello());
    fleetpb::ToRobot message;
    message.set_epoch(epoch);
    message.mutable_welcome()->set_heartbeat_ms(1'000'000);
    message.mutable_welcome()->set_last_sequence(last_sequence);
    message.mutable_welcome()->set_nonce(said[0].hello().nonce());
    driver_.hear(message, 0);
  }
  /// What it says now, in words.
  std::vector<std::string> says() {
    driver_.tick(0, {});
    std::vector<std::string> words;
    for (const fleetpb::FromRobot& message : driver_.take_messages()) {
      if (message.has_heartbeat()) continue;
      if (message.has_ack()) words.push_back("ack " + std::to_string(message.ack().number()));
      if (message.has_accept()) words.push_back("accept " + std::to_string(message.sequence()));
      if (message.has_started()) words.push_back("started " + std::to_string(message.sequence()));
    }
    return words;
  }
  using Words = std::vector<std::string>;

  Driver driver_{{.id = "b1"}, kWellBehaved};
};

TEST_F(DriverTest, ADirectiveThatComesAgainIsAckedAgainAndCarriedOutOnce) {
  welcome(1);
  driver_.hear(offer(1, 1), 0);
  EXPECT_EQ(says(), (Words{"accept 1", "started 2", "ack 1"}));
  driver_.hear(offer(1, 1), 0);
  EXPECT_EQ(says(), Words{"ack 1"});
  driver_.hear(done(1, 1), 0);
  driver_.hear(done(1, 2), 0);
  EXPECT_EQ(driver_.destination(), Driver::Place::kStore);
  driver_.hear(offer(1, 1), 0);
  EXPECT_EQ(says(), Words{"ack 1"});
  EXPECT_EQ(driver_.destination(), Driver::Place::kStore);
  EXPECT_EQ(driver_.numbers().offers, 1U);
}

TEST_F(DriverTest, AfterANewConnectionUnansweredReportsComeAgainUnderTheirNumbers) {
  welcome(1);
  driver_.hear(offer(1, 1), 0);
  EXPECT_EQ(says(), (Words{"accept 1", "started 2", "ack 1"}));
  driver_.disconnected(0);
  welcome(2, 2);  // both were answered, and the answers lost
  EXPECT_EQ(says(), (Words{"accept 1", "started 2"}));
  driver_.hear(offer(2, 1, true), 0);
  driver_.hear(done(2, 1), 0);
  driver_.hear(done(2, 2), 0);
  EXPECT_EQ(says(), Words{"ack 1"});  // nothing is begun twice
  EXPECT_EQ(driver_.destination(), Driver::Place::kStore);
}

TEST_F(DriverTest, WhatAnOlderConnectionWasToldIsNotHeard) {
  welcome(2);
  driver_.hear(offer(1, 1), 0);
  EXPECT_EQ(says(), Words{});
  EXPECT_EQ(driver_.numbers().offers, 0U);
}

}  // namespace
}  // namespace mallbots::bots
