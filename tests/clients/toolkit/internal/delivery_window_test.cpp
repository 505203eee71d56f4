#include "clients/toolkit/internal/delivery_window.h"

#include <gtest/gtest.h>

namespace mallbots::test {
namespace {

using toolkit::DeliveryWindow;

void add(DeliveryWindow& window, Offset offset, const std::string& key = {},
         PartitionIndex partition = 0) {
  window.add(client::Message{
      .topic = "t", .partition = partition, .offset = offset, .key = client::as_bytes(key)});
}

/// Offset of the next message handed out, and its ticket.
std::pair<Offset, DeliveryWindow::Ticket> take(DeliveryWindow& window, BootNanos now = 0) {
  const auto next = window.take(now);
  return next ? std::pair{next->message->view().offset, next->ticket}
              : std::pair{kNoOffset, DeliveryWindow::Ticket{0}};
}

TEST(DeliveryWindow, HandsOutNoMoreThanMayBeInFlight) {
  DeliveryWindow window{2};
  for (Offset offset = 0; offset < 3; ++offset) add(window, offset);
  const auto first = take(window);
  EXPECT_EQ(take(window).first, 1U);
  EXPECT_EQ(take(window).first, kNoOffset);
  EXPECT_TRUE(window.done(first.second));
  EXPECT_EQ(take(window).first, 2U);
}

TEST(DeliveryWindow, AKeyWaitsForItsMessageAndOthersDoNot) {
  DeliveryWindow window{8};
  add(window, 0, "a");
  add(window, 1, "a");
  add(window, 2, "b");
  const auto first = take(window);
  EXPECT_EQ(take(window).first, 2U);
  EXPECT_EQ(take(window).first, kNoOffset);
  EXPECT_TRUE(window.again(first.second, 50, {}, 1));
  EXPECT_EQ(take(window, 49).first, kNoOffset);
  EXPECT_EQ(window.next_ready(), 50);
  const auto again = take(window, 50);
  EXPECT_EQ(again.first, 0U);
  EXPECT_TRUE(window.done(again.second));
  EXPECT_EQ(take(window, 50).first, 1U);
}

TEST(DeliveryWindow, ProgressStopsBelowTheFirstThatIsNotDone) {
  DeliveryWindow window{8};
  for (Offset offset = 10; offset < 14; ++offset) add(window, offset);
  const auto a = take(window);
  const auto b = take(window);
  const auto c = take(window);
  EXPECT_TRUE(window.done(b.second));
  EXPECT_TRUE(window.take_progress().empty());
  EXPECT_TRUE(window.done(a.second));
  auto progress = window.take_progress();
  ASSERT_EQ(progress.size(), 1U);
  EXPECT_EQ(progress[0].done, 11U);
  EXPECT_TRUE(window.take_progress().empty());
  EXPECT_TRUE(window.done(c.second));
  EXPECT_TRUE(window.done(take(window).second));
  progress = window.take_progress();
  ASSERT_EQ(progress.size(), 1U);
  EXPECT_EQ(progress[0].done, 13U);
}

TEST(DeliveryWindow, APartitionOfATopicMadeAnewBeginsAnew) {
  DeliveryWindow window{8};
  const auto add_of = [&](std::uint64_t topic_id, Offset offset) {
    window.add(client::Message{
        .topic = "t", .offset = offset, .key = client::as_bytes("k"), .topic_id = topic_id});
  };
  for (Offset offset = 100; offset < 103; ++offset) add_of(1, offset);
  EXPECT_TRUE(window.done(take(window).second));
  EXPECT_EQ(window.take_progress().at(0).topic_id, 1U);
  const auto old = take(window);
  EXPECT_EQ(old.first, 101U);
  add_of(2, 0);
  EXPECT_FALSE(window.done(old.second));
  const auto anew = take(window);
  EXPECT_EQ(anew.first, 0U);
  EXPECT_TRUE(window.done(anew.second));
  EXPECT_EQ(window.open(), 0U);
  const auto progress = window.take_progress();
  ASSERT_EQ(progress.size(), 1U);
  EXPECT_EQ(progress[0].topic_id, 2U);
  EXPECT_EQ(progress[0].done, 0U);
}

TEST(DeliveryWindow, OffsetsThatWereNeverGivenDoNotHoldProgressUp) {
  DeliveryWindow window{8};
  add(window, 3);
  add(window, 9);
  const auto first = take(window);
  EXPECT_TRUE(window.done(first.second));
  const auto progress = window.take_progress();
  ASSERT_EQ(progress.size(), 1U);
  EXPECT_EQ(progress[0].done, 8U);
}

TEST(DeliveryWindow, APartitionThatWentTakesItsMessagesAlong) {
  DeliveryWindow window{2};
  add(window, 0, "a", 0);
  add(window, 1, "a", 0);
  add(window, 0, "b", 1);
  const auto lost = take(window);
  window.drop({"t", 0});
  EXPECT_EQ(window.in_flight(), 0U);
  EXPECT_FALSE(window.done(lost.second));
  EXPECT_FALSE(window.history(lost.second).has_value());
  const auto kept = window.take(0);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->message->view().partition, 1U);
  EXPECT_EQ(take(window).first, kNoOffset);
  // It may come back, from where the group stands.
  add(window, 0, "a", 0);
  EXPECT_EQ(take(window).first, 0U);
}

TEST(DeliveryWindow, AStuckMessageBoundsWhatIsReadAhead) {
  DeliveryWindow window{64};
  add(window, 0, "stuck");
  const auto stuck = take(window);
  for (Offset offset = 1; offset <= 65'536; ++offset) {
    ASSERT_GT(window.room(), 0U) << offset;
    add(window, offset);
    ASSERT_TRUE(window.done(take(window).second));
  }
  EXPECT_EQ(window.room(), 0U);
  EXPECT_TRUE(window.done(stuck.second));
  EXPECT_GT(window.room(), 0U);
}

std::vector<std::pair<Offset, DeliveryWindow::Ticket>> take_many(DeliveryWindow& window,
                                                                 std::size_t max,
                                                                 toolkit::Reach reach) {
  std::vector<DeliveryWindow::HandedOut> taken;
  window.take_many(0, max, reach, taken);
  std::vector<std::pair<Offset, DeliveryWindow::Ticket>> all;
  for (const auto& one : taken) all.emplace_back(one.message->view().offset, one.ticket);
  return all;
}

TEST(DeliveryWindow, OneReceiverMayHaveSeveralOfAKeyInOrderAndNobodyElseTheNext) {
  DeliveryWindow window{8};
  for (Offset offset = 0; offset < 4; ++offset) add(window, offset, offset == 2 ? "b" : "a");
  const auto run = take_many(window, 2, toolkit::Reach::kOneKey);
  ASSERT_EQ(run.size(), 2U);
  EXPECT_EQ(run[0].first, 0U);
  EXPECT_EQ(run[1].first, 1U);
  EXPECT_EQ(take(window).first, 2U);
  EXPECT_EQ(take(window).first, kNoOffset);
  EXPECT_TRUE(window.done(run[0].second));
  EXPECT_EQ(take(window).first, kNoOffset);
  EXPECT_TRUE(window.done(run[1].second));
  EXPECT_EQ(take(window).first, 3U);
}

TEST(DeliveryWindow, WhatComesBackFromARunKeepsItsOrderAndItsAttempts) {
  DeliveryWindow window{8};
  for (Offset offset = 0; offset < 3; ++offset) add(window, offset, "a");
  const auto run = take_many(window, 3, toolkit::Reach::kOneKey);
  ASSERT_EQ(run.size(), 3U);
  EXPECT_TRUE(window.done(run[0].second));
  EXPECT_TRUE(window.again(run[1].second, 50, {.type = "t"}, 1));
  EXPECT_TRUE(window.put_back(run[2].second, 0));
  EXPECT_FALSE(window.put_back(run[2].second, 0)) << "it was given back before";
  EXPECT_EQ(take(window, 49).first, kNoOffset);
  auto next = window.take(50);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->message->view().offset, 1U);
  EXPECT_EQ(next->attempt, 2U);
  EXPECT_TRUE(window.done(next->ticket));
  next = window.take(50);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->message->view().offset, 2U);
  EXPECT_EQ(next->attempt, 1U);
}

TEST(DeliveryWindow, AReachOfAllTakesEveryKeyAndThoseWithout) {
  DeliveryWindow window{8};
  add(window, 0, "a");
  add(window, 1);
  add(window, 2, "b");
  add(window, 3, "a");
  EXPECT_EQ(take_many(window, 3, toolkit::Reach::kAll).size(), 3U);
  EXPECT_EQ(window.in_flight(), 3U);
  EXPECT_EQ(window.open(), 4U);
}

TEST(Redelivery, GrowsToItsLongest) {
  const toolkit::Redelivery redelivery{.first_ms = 100, .factor = 1.5, .max_ms = 400};
  EXPECT_EQ(redelivery.delay_ms(1), 100);
  EXPECT_EQ(redelivery.delay_ms(2), 150);
  EXPECT_EQ(redelivery.delay_ms(3), 225);
  EXPECT_EQ(redelivery.delay_ms(100'000), 400);
}

}  // namespace
}  // namespace mallbots::test
