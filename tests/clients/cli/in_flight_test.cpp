#include "clients/cli/in_flight.h"

#include <gtest/gtest.h>

namespace mallbots::client::cli {
namespace {

Flying flying(std::uint64_t line, PartitionIndex partition, Offset offset, LogEpoch epoch = 1) {
  Flying record;
  record.line = line;
  record.key = "k";
  record.payload = "payload";
  record.receipt = {partition, offset, 1, 0, epoch, false};
  return record;
}

TEST(InFlight, CountsRecordsAndBytes) {
  InFlight all;
  all.add(flying(1, 0, 0));
  all.add(flying(2, 1, 0));
  EXPECT_EQ(all.records(), 2u);
  EXPECT_EQ(all.bytes(), 16u);
  EXPECT_EQ(all.take_front(0).line, 1u);
  EXPECT_EQ(all.take_all(1).size(), 1u);
  EXPECT_TRUE(all.empty());
  EXPECT_EQ(all.bytes(), 0u);
}

TEST(InFlight, TheOldestIsTheOneWithTheLowestLine) {
  InFlight all;
  all.add(flying(2, 0, 10));
  all.add(flying(1, 5, 3));
  all.add(flying(3, 2, 1));
  EXPECT_EQ(all.oldest(), 5u);
}

TEST(InFlight, CandidatesEndAtTheDurablePositionAndAtALogEpoch) {
  std::deque<Flying> queue;
  for (Offset i = 0; i < 5; ++i) queue.push_back(flying(i, 0, 10 + i));
  EXPECT_EQ(InFlight::candidates(queue, 0), 0u);
  EXPECT_EQ(InFlight::candidates(queue, 12), 2u);
  EXPECT_EQ(InFlight::candidates(queue, 99), 5u);
  queue[3].receipt.log_epoch = queue[4].receipt.log_epoch = 2;
  EXPECT_EQ(InFlight::candidates(queue, 99), 3u);
}

}  // namespace
}  // namespace mallbots::client::cli
