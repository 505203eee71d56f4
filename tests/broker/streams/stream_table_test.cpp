#include "broker/streams/stream_table.h"

#include <gtest/gtest.h>

#include <string>

namespace mallbots::broker {
namespace {

StreamState with(StreamTable& table, const std::string& id, Offset offset) {
  std::array<shm::EventLinks, 1> links;
  StreamState state = *with_events(table.state_of(stream_key(id)), offset, links);
  table.put(stream_key(id), state, offset + 1);
  return state;
}

TEST(StreamTable, KnowsHowMuchOfTheLogIsInIt) {
  StreamTable table;
  table.begin(std::make_unique<StreamIndex>(), 7);
  EXPECT_EQ(table.end(), 7U);
  with(table, "a", 7);
  with(table, "a", 8);
  EXPECT_EQ(table.end(), 9U);
  EXPECT_EQ(table.state_of(stream_key("a")).version, 2U);
}

TEST(StreamTable, ListsItsStreamsInTheOrderInWhichTheyCameByPages) {
  StreamTable table;
  for (Offset i = 0; i < 300; ++i) with(table, std::to_string(i), i);
  std::uint32_t from = 0;
  std::vector<Offset> seen;
  for (bool more = true; more;) {
    const auto page = table.list(from, 100);
    ASSERT_LE(page.streams.size(), 100U);
    for (const auto& row : page.streams) seen.push_back(row.last_offset);
    more = page.more;
    from = page.next;
  }
  ASSERT_EQ(seen.size(), 300U);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_TRUE(table.list(300, 10).streams.empty());
  EXPECT_FALSE(table.list(4'000'000'000, 10).more);
}

}  // namespace
}  // namespace mallbots::broker
