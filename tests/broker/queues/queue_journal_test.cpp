#include "broker/queues/queue_journal.h"

#include <gtest/gtest.h>

namespace mallbots::test {
namespace {

using broker::DeathReason;
using broker::DeliveryFailure;
using broker::DueTime;
using broker::Holder;
using broker::ItemState;
using broker::ItemView;
using broker::QueueIdentity;
using broker::QueueNumber;
using broker::QueueState;
using broker::QueueWriter;

const QueueIdentity kQueue{.group = "g", .topic = TopicId{77}, .partition = 3};
const DeliveryFailure kFailure{.type = "T", .text = "x", .handler = "h", .time_ms = 9};

/// Reads entries and writes them again.
std::vector<std::byte> again(const std::vector<std::vector<std::byte>>& payloads) {
  QueueWriter copy;
  for (const auto& payload : payloads) {
    const auto read = read_queue_changes(payload, copy);
    EXPECT_TRUE(read) << read.error().sentence();
  }
  std::vector<std::byte> all;
  for (const auto& payload : copy.take()) all.insert(all.end(), payload.begin(), payload.end());
  return all;
}

QueueWriter one_of_each() {
  QueueWriter out;
  out.limits("g", 5);
  out.begin(1, kQueue, {2, 100});
  out.done_bits(1, 100, {true, false, true, true, false, false, false, false, true});
  const broker::FailureNote note{kFailure, kFailure};
  out.item(1, {.offset = 101,
               .state = ItemState::kWaiting,
               .attempts = 2,
               .holder = {},
               .due = {.boot_ns = 1, .wall_ms = 2, .delay_ms = 3},
               .note = &note});
  out.end(1);
  out.granted(1, 104, 1, {.session = 5, .token = 55});
  out.done(1, 104);
  out.put_back(1, 101, {.boot_ns = 4, .wall_ms = 5, .delay_ms = 6}, true, &kFailure);
  out.put_back(1, 101, {}, false, nullptr);
  out.died(1, 101, DeathReason::kAttempts, &kFailure);
  out.buried(1, 101, 8);
  out.low_moved(1, {3, 200});
  out.forgotten("g");
  out.topic_forgotten(TopicId{77});
  return out;
}

TEST(QueueJournal, WhatIsReadIsWhatWasWritten) {
  QueueWriter out = one_of_each();
  const auto payloads = out.take();
  ASSERT_EQ(payloads.size(), 1U);
  EXPECT_EQ(again(payloads), payloads[0]);
  EXPECT_TRUE(out.empty());
}

TEST(QueueJournal, ACutPayloadIsRefusedUnlessCutBetweenEntries) {
  QueueWriter out = one_of_each();
  const auto whole = out.take()[0];
  std::size_t good = 0;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    QueueWriter copy;
    if (read_queue_changes(std::span{whole}.first(size), copy)) ++good;
  }
  EXPECT_EQ(good, 14U);  // nothing, and behind each entry but the last
}

TEST(QueueJournal, FlippedBitsAreDataToo) {
  QueueWriter out = one_of_each();
  const auto whole = out.take()[0];
  for (std::size_t i = 0; i < whole.size() * 8; ++i) {
    auto bytes = whole;
    bytes[i / 8] ^= std::byte{static_cast<std::uint8_t>(1U << (i % 8))};
    QueueWriter copy;
    static_cast<void>(read_queue_changes(bytes, copy));
  }
}

TEST(QueueJournal, APayloadEndsBetweenEntries) {
  QueueWriter out;
  for (Offset i = 0; i < 10'000; ++i) out.granted(1, i, 1, {.session = 1, .token = 1});
  const auto payloads = out.take();
  EXPECT_GT(payloads.size(), 3U);
  std::size_t bytes = 0;
  for (const auto& payload : payloads) {
    EXPECT_LT(payload.size(), QueueWriter::kPayloadBytes + 100);
    bytes += payload.size();
  }
  EXPECT_EQ(again(payloads).size(), bytes);
}

TEST(QueueJournal, ASnapshotMakesTheSameState) {
  QueueState state{50};
  for (Offset i = 50; i < 80; ++i) state.load(i, i % 7);
  state.grant(50, 1, {.session = 3, .token = 9}, 100);
  state.grant(51, 1, {.session = 3, .token = 9}, 100);
  state.done(51);
  state.grant(52, 4, {.session = 3, .token = 9}, 100);
  state.put_back(52, {.boot_ns = 7, .wall_ms = 8, .delay_ms = 9}, true, &kFailure);
  state.grant(53, 1, {.session = 3, .token = 9}, 100);
  state.die(53, DeathReason::kRejected, &kFailure);
  state.grant(54, 1, {.session = 3, .token = 9}, 100);
  state.die(54, DeathReason::kAttempts, nullptr);
  state.bury(54, 12);
  QueueWriter out;
  write_snapshot(out, 4, kQueue, 2, state);

  struct Reader final : broker::QueueChanges {
    QueueState state;
    void granted(QueueNumber, Offset, std::uint32_t, const Holder&) override {}
    void done(QueueNumber, Offset) override {}
    void put_back(QueueNumber, Offset, const DueTime&, bool, const DeliveryFailure*) override {}
    void died(QueueNumber, Offset, DeathReason, const DeliveryFailure*) override {}
    void buried(QueueNumber, Offset, Offset) override {}
    void low_moved(QueueNumber, Position) override {}
    void begin(QueueNumber, const QueueIdentity& identity, Position low) override {
      EXPECT_EQ(identity, kQueue);
      state = QueueState{low.offset};
    }
    void done_bits(QueueNumber, Offset first, const std::vector<bool>& bits) override {
      for (std::size_t i = 0; i < bits.size(); ++i)
        if (bits[i]) state.done(first + i);
    }
    void item(QueueNumber, const ItemView& item) override { state.restore(item); }
    void end(QueueNumber) override {}
    void limits(const std::string&, std::uint32_t) override {}
    void forgotten(const std::string&) override {}
    void topic_forgotten(TopicId) override {}
  } reader;
  for (const auto& payload : out.take()) ASSERT_TRUE(read_queue_changes(payload, reader));
  QueueWriter same;
  write_snapshot(same, 4, kQueue, 2, reader.state);
  QueueWriter before;
  write_snapshot(before, 4, kQueue, 2, state);
  EXPECT_EQ(same.take(), before.take());
  EXPECT_EQ(reader.state.low(), 50U);
}

}  // namespace
}  // namespace mallbots::test
