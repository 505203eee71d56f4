#include "broker/control/group_table.h"

#include <gtest/gtest.h>

namespace mallbots::broker {
namespace {

KeptRow row(const std::string& group, PartitionIndex partition, Offset offset) {
  KeptRow kept;
  kept.row = {.group = group,
              .topic = TopicId{11},
              .partition = partition,
              .generation = 3,
              .position = Position{2, offset},
              .session = SessionIndex{9},
              .cell = 4,
              .instance = "static-1"};
  kept.session_token = 0xABCDEF;
  return kept;
}

GroupTable fresh_table() {
  KeeperLink keeper;
  bool kept = true;
  auto table = GroupTable::open(keeper, kept);
  EXPECT_TRUE(table);
  EXPECT_FALSE(kept);
  return std::move(*table);
}

TEST(GroupTable, LatestRowOfAKeyIsKept) {
  GroupTable table = fresh_table();
  for (Offset offset = 1; offset <= 1000; ++offset) ASSERT_TRUE(table.set(row("g", 0, offset)));
  ASSERT_TRUE(table.set(row("g", 1, 5)));
  const auto rows = table.rows();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].row, row("g", 0, 1000).row);
  EXPECT_EQ(rows[0].session_token, 0xABCDEFU);
}

TEST(GroupTable, RowWithoutPositionOrHolderStaysSo) {
  GroupTable table = fresh_table();
  KeptRow kept = row(std::string(200, 'g'), 0, 0);
  kept.row.position.reset();
  kept.row.session.reset();
  kept.row.instance.clear();
  ASSERT_TRUE(table.set(kept));
  EXPECT_EQ(table.rows().at(0).row, kept.row);
}

TEST(GroupTable, ForgetsATopicOrAGroup) {
  GroupTable table = fresh_table();
  ASSERT_TRUE(table.set(row("a", 0, 1)));
  KeptRow other = row("a", 0, 2);
  other.row.topic = TopicId{12};
  ASSERT_TRUE(table.set(other));
  ASSERT_TRUE(table.set(row("b", 0, 3)));
  table.forget("a", TopicId{11});
  EXPECT_EQ(table.rows().size(), 2U);
  table.forget("a", std::nullopt);
  ASSERT_EQ(table.rows().size(), 1U);
  EXPECT_EQ(table.rows()[0].row.group, "b");
}

TEST(GroupTable, FullTableRefusesNewRowsAndStillChangesOldOnes) {
  GroupTable table = fresh_table();
  std::uint32_t made = 0;
  while (table.set(row("g", made, made))) ++made;
  EXPECT_EQ(made, GroupTable::kEntries - 1);
  const auto refused = table.set(row("g", made, 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kLimitReached);
  EXPECT_TRUE(table.set(row("g", 0, 77)));
  table.forget("g", std::nullopt);
  EXPECT_TRUE(table.set(row("h", 0, 1)));
}

}  // namespace
}  // namespace mallbots::broker
