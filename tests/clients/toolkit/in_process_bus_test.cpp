// What InProcessBus promises beside bus.h, which tests/conformance holds.
#include "clients/toolkit/in_process_bus.h"

#include <gtest/gtest.h>

namespace mallbots::test {
namespace {

using toolkit::InProcessBus;

void publish(InProcessBus& bus, const std::string& topic, int first, int count) {
  for (int i = first; i < first + count; ++i) {
    const std::string text = std::to_string(i);
    const client::Record record{.payload = client::as_bytes(text)};
    const auto sent = bus.publish(topic, {&record, 1}, {.deadline = Deadline::passed()});
    ASSERT_TRUE(sent) << sent.error().sentence();
  }
}

/// Acknowledges all that is there.
std::vector<std::string> drain(InProcessBus& bus, const std::string& group) {
  auto subscription = bus.subscribe({.topics = {"t"}, .group = group});
  EXPECT_TRUE(subscription);
  std::vector<std::string> texts;
  for (;;) {
    auto delivery = (*subscription)->receive(Deadline::passed());
    EXPECT_TRUE(delivery);
    if (!delivery || !*delivery) return texts;
    texts.emplace_back((*delivery)->message().text());
    EXPECT_TRUE((*delivery)->ack());
  }
}

TEST(InProcessBus, BeforeTheFirstGroupTheLastRecordsAreKept) {
  InProcessBus bus{{.max_records = 3}};
  publish(bus, "t", 0, 5);
  EXPECT_EQ(drain(bus, "g"), (std::vector<std::string>{"2", "3", "4"}));
}

TEST(InProcessBus, KeepAllForgetsNothing) {
  InProcessBus bus{{.max_records = 3, .keep_all = true}};
  publish(bus, "t", 0, 5);
  EXPECT_EQ(drain(bus, "g").size(), 5U);
  EXPECT_EQ(drain(bus, "late").size(), 5U);
}

TEST(InProcessBus, AGroupGoesOnWhereItsLastMemberLeft) {
  InProcessBus bus;
  publish(bus, "t", 0, 2);
  EXPECT_EQ(drain(bus, "g").size(), 2U);
  publish(bus, "t", 2, 1);
  EXPECT_EQ(drain(bus, "g"), std::vector<std::string>{"2"});
}

TEST(InProcessBus, MembersOfAGroupNameTheSameTopics) {
  InProcessBus bus;
  const auto first = bus.subscribe({.topics = {"t"}, .group = "g"});
  ASSERT_TRUE(first);
  const auto other = bus.subscribe({.topics = {"u"}, .group = "g"});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::kBadArgument);
}

TEST(InProcessBus, WhatIsForLaterComesWhenItsTimeHasCome) {
  InProcessBus bus;
  const auto subscription = bus.subscribe({.topics = {"t"}, .group = "g"});
  const client::Record later{.payload = client::as_bytes("later")};
  const UnixMillis at = wall_now_ms() + 30;
  ASSERT_TRUE(bus.publish("t", {&later, 1}, {.publish_at = at}));
  publish(bus, "t", 0, 1);
  EXPECT_EQ(bus.backlog().scheduled, 1U);
  auto first = (*subscription)->receive(Deadline::after_ms(10'000));
  ASSERT_TRUE(first && *first);
  EXPECT_EQ((*first)->message().text(), "0");
  EXPECT_TRUE((*first)->ack());
  auto second = (*subscription)->receive(Deadline::after_ms(10'000));
  ASSERT_TRUE(second && *second);
  EXPECT_EQ((*second)->message().text(), "later");
  EXPECT_EQ((*second)->message().offset, 1U);
  EXPECT_GE(wall_now_ms(), at);
  EXPECT_TRUE((*second)->ack());
}

TEST(InProcessBus, ABacklogSaysWhatIsNotDone) {
  InProcessBus bus;
  const auto subscription = bus.subscribe({.topics = {"t"}, .group = "g", .max_in_flight = 1});
  publish(bus, "t", 0, 3);
  EXPECT_EQ(bus.backlog().groups.at(0).unread, 3U);
  auto delivery = (*subscription)->receive(Deadline::passed());
  ASSERT_TRUE(delivery && *delivery);
  const auto load = bus.backlog().groups.at(0);
  EXPECT_EQ(load.in_flight, 1U);
  EXPECT_EQ(load.open(), 3U);
  EXPECT_TRUE((*delivery)->nack({.type = "t"}, 3'600'000));
  EXPECT_EQ(bus.backlog().groups.at(0).in_flight, 0U);
  EXPECT_NE(bus.backlog().groups.at(0).next_ns, toolkit::kNever);
}

TEST(InProcessBus, ADeferredMessageIsNotCountedAsTried) {
  InProcessBus bus;
  const auto subscription = bus.subscribe({.topics = {"t"}, .group = "g", .max_deliveries = 1});
  publish(bus, "t", 0, 1);
  for (int i = 0; i < 5; ++i) {
    auto delivery = (*subscription)->receive(Deadline::after_ms(10'000));
    ASSERT_TRUE(delivery && *delivery);
    EXPECT_EQ((*delivery)->attempt(), 1U);
    EXPECT_TRUE((*delivery)->defer());
  }
}

TEST(InProcessBus, RefusesWhatCouldReceiveNothing) {
  InProcessBus bus;
  EXPECT_EQ(bus.subscribe({.group = "g"}).error().code, ErrorCode::kBadArgument);
  const auto nothing = bus.subscribe({.topics = {"t"}, .group = "g", .max_in_flight = 0});
  EXPECT_EQ(nothing.error().code, ErrorCode::kBadArgument);
  EXPECT_EQ(bus.subscribe({.topics = {"a/b"}, .group = "g"}).error().code,
            ErrorCode::kBadTopicName);
}

}  // namespace
}  // namespace mallbots::test
