#include "services/gateways/admin/history_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace mallbots::gateways {
namespace {

using Place = HistoryOrder::Place;
using Changes = std::vector<HistoryOrder::Change>;

const Place kCarts{"carts", 0};
const Place kOrders{"orders", 0};
const Place kPayments{"payments", 0};

/// Partitions with the times of their records, and a reader that does as the order says.
class HistoryOrderTest : public testing::Test {
 protected:
  void have(const Place& place, std::vector<UnixMillis> times) {
    order_.add(place, times.size());
    times_[place] = std::move(times);
    next_[place] = 0;
  }
  Changes align() {
    Changes changes = order_.changes([&](const Place& place) -> std::optional<Offset> {
      if (gone_.contains(place)) return std::nullopt;
      return next_.at(place);
    });
    for (const auto& [place, waits] : changes) {
      if (waits) {
        paused_.insert(place);
      } else {
        paused_.erase(place);
      }
    }
    return changes;
  }
  /// One poll: a batch of whoever has more and is not paused, nor stands still.
  void poll(std::size_t batch) {
    for (const auto& [place, times] : times_) {
      if (paused_.contains(place) || stuck_.contains(place) || next_[place] == times.size())
        continue;
      for (std::size_t i = 0; i < batch && next_[place] < times.size(); ++i) {
        const UnixMillis at_ms = times[next_[place]++];
        order_.took(place, at_ms);
        read_.push_back(at_ms);
      }
      break;
    }
    align();
  }

  HistoryOrder order_;
  std::map<Place, std::vector<UnixMillis>> times_;
  std::map<Place, Offset> next_;
  std::set<Place> paused_;
  std::set<Place> stuck_;
  std::set<Place> gone_;
  std::vector<UnixMillis> read_;
};

TEST_F(HistoryOrderTest, IsThatOfTimeButForABatchOfEachPartition) {
  constexpr std::size_t kBatch = 10;
  std::vector<UnixMillis> carts;
  std::vector<UnixMillis> orders;
  std::vector<UnixMillis> payments;
  for (UnixMillis at_ms = 1; at_ms <= 3'000; ++at_ms) {
    if (at_ms < 2'000) carts.push_back(at_ms);
    if (at_ms % 3 == 0) orders.push_back(at_ms);
    if (at_ms > 1'000 && at_ms % 7 == 0) payments.push_back(at_ms);
  }
  const std::size_t all = carts.size() + orders.size() + payments.size();
  have(kCarts, carts);
  have(kOrders, orders);
  have(kPayments, payments);
  align();
  for (std::size_t polls = 0; polls < all && !order_.is_over(); ++polls) poll(kBatch);
  EXPECT_EQ(read_.size(), all);
  EXPECT_TRUE(paused_.empty());
  // Whatever comes late is overtaken by one batch of each other partition at most.
  std::vector<UnixMillis> before;
  std::size_t most = 0;
  for (const UnixMillis at_ms : read_) {
    const auto younger =
        std::ranges::count_if(before, [&](UnixMillis other) { return other > at_ms; });
    most = std::max(most, static_cast<std::size_t>(younger));
    before.push_back(at_ms);
  }
  EXPECT_LE(most, 2 * kBatch);
}

TEST_F(HistoryOrderTest, PollsThatBringNothingDoNotEndIt) {
  have(kOrders, {10, 20, 30, 40});
  have(kPayments, {15, 25, 35, 45});
  align();
  poll(1);  // orders: 10
  poll(1);  // payments: 15
  ASSERT_EQ(paused_, std::set{kPayments});
  stuck_ = {kOrders};
  for (int i = 0; i < 100; ++i) poll(1);
  EXPECT_EQ(paused_, std::set{kPayments}) << "nobody goes ahead of what only takes long";
  EXPECT_EQ(read_, (std::vector<UnixMillis>{10, 15}));
  stuck_.clear();
  for (int i = 0; i < 10 && !order_.is_over(); ++i) poll(1);
  EXPECT_EQ(read_, (std::vector<UnixMillis>{10, 15, 20, 25, 30, 35, 40, 45}));
}

TEST_F(HistoryOrderTest, WhatAPowerCutTookBackIsNotWaitedFor) {
  have(kOrders, {10, 20});
  have(kPayments, {15, 25});
  align();
  poll(1);
  poll(1);
  EXPECT_EQ(order_.awaited(), std::vector{kOrders});
  times_[kOrders].resize(1);
  order_.shorten(kOrders, 1);
  EXPECT_EQ(align(), (Changes{{kPayments, false}}));
  order_.shorten(kPayments, 9);  // more was appended: history is not longer for that
  poll(1);
  EXPECT_TRUE(order_.is_over());
}

TEST_F(HistoryOrderTest, APartitionThatIsGoneIsNotWaitedFor) {
  have(kOrders, {10, 20});
  have(kPayments, {15, 25});
  align();
  poll(1);
  poll(1);
  gone_ = {kOrders};
  EXPECT_EQ(align(), (Changes{{kPayments, false}}));
}

TEST_F(HistoryOrderTest, WithoutHistoryNobodyWaits) {
  have(kOrders, {});
  EXPECT_EQ(align(), Changes{});
  EXPECT_TRUE(order_.is_over());
  order_.took(kOrders, 10);
  EXPECT_TRUE(order_.is_over());
}

}  // namespace
}  // namespace mallbots::gateways
