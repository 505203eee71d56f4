// The inputs of the coordinator: refusals, positions, durable commits, administration, restarts.
#include "broker/groups/coordinator.h"

#include <gtest/gtest.h>

#include "tests/broker/groups/fake_groups.h"

namespace mallbots::broker {
namespace {

using shm::SeekTo;
using test::FakeGroups;

class CoordinatorTest : public testing::Test {
 protected:
  void TearDown() override { EXPECT_TRUE(world.violations().empty()) << world.all_violations(); }

  ErrorCode join_error(const GroupJoin& request) {
    const auto joined = world.coordinator().join(request);
    return joined ? ErrorCode::kNone : joined.error().code;
  }
  std::uint64_t joined(SessionIndex session, std::vector<std::string> topics, bool durable = true) {
    const auto reply = world.join(session, "g", std::move(topics), {}, durable);
    world.poll_all();
    return reply->group_id;
  }
  Result<Sought> seek(SeekTo to, std::int64_t value, bool execute) {
    return world.coordinator().seek({.group = "g", .to = to, .value = value, .execute = execute});
  }

  FakeGroups world;
};

TEST_F(CoordinatorTest, RefusesWhatCannotBeAMember) {
  world.add_topic("t", 1);
  struct Row {
    const char* what;
    GroupJoin request;
    ErrorCode expected;
  };
  const Row rows[] = {
      {"bad group name", {1, "a/b", "", {"t"}}, ErrorCode::kBadGroupName},
      {"bad instance", {1, "g", "a/b", {"t"}}, ErrorCode::kBadArgument},
      {"no topic", {1, "g", "", {}}, ErrorCode::kBadArgument},
      {"unknown topic", {1, "g", "", {"t", "u"}}, ErrorCode::kUnknownTopic},
  };
  for (const Row& row : rows) EXPECT_EQ(join_error(row.request), row.expected) << row.what;
  EXPECT_TRUE(world.coordinator().groups().empty());  // nothing half-made
  ASSERT_TRUE(world.join(1, "g", {"t"}, "a"));
  EXPECT_EQ(join_error({1, "g", "b", {"t"}}), ErrorCode::kBadArgument);
}

TEST_F(CoordinatorTest, RefusesWhoIsNotAMember) {
  world.add_topic("t", 1);
  const std::uint64_t group = joined(1, {"t"});
  auto& coordinator = world.coordinator();
  EXPECT_EQ(coordinator.leave(1, group + 1).error().code, ErrorCode::kUnknownGroup);
  EXPECT_EQ(coordinator.leave(2, group).error().code, ErrorCode::kFenced);
  EXPECT_EQ(coordinator.assignment_done(2, group, 1).error().code, ErrorCode::kFenced);
  EXPECT_EQ(coordinator.commit_durable(2, group, 1).error().code, ErrorCode::kFenced);
  EXPECT_EQ(coordinator.describe("h").error().code, ErrorCode::kUnknownGroup);
  EXPECT_EQ(coordinator.delete_group("h").error().code, ErrorCode::kUnknownGroup);
  EXPECT_TRUE(coordinator.session_ended(9).empty());
}

TEST_F(CoordinatorTest, AJoinIsTheSameGroupForAllItsNames) {
  world.add_topic("t", 2);
  const auto a = world.join(1, "g", {"t"});
  const auto b = world.join(2, "g", {"t"});
  const auto c = world.join(1, "h", {"t"});
  EXPECT_EQ(a->group_id, b->group_id);
  EXPECT_NE(a->group_id, c->group_id);
  EXPECT_NE(a->member_id, b->member_id);
  EXPECT_EQ(world.coordinator().groups(), (std::vector<std::string>{"g", "h"}));
}

TEST_F(CoordinatorTest, TicksAreOnlyNeededWhileSomebodyIsWatched) {
  EXPECT_EQ(world.coordinator().next_tick(), INT64_MAX);
  world.add_topic("t", 1);
  joined(1, {"t"});
  EXPECT_LT(world.coordinator().next_tick(), INT64_MAX);
  world.kill(1);
  world.pass_time(60 * kSecond);
  EXPECT_EQ(world.coordinator().next_tick(), INT64_MAX);
}

// Positions
// -----------------------------------------------------------------------------------------

TEST_F(CoordinatorTest, AFlushPersistsWhatMovedAndNothingElse) {
  const TopicId topic = world.add_topic("t", 2);
  joined(1, {"t"});
  world.clear_said();
  world.flush();
  EXPECT_TRUE(world.said().rows.empty());
  world.consume(1, "g", 30);
  world.flush();
  EXPECT_EQ(world.said().rows.size(), 2U);
  EXPECT_EQ(world.row_offset("g", topic, 1), 30U);
  world.clear_said();
  world.flush();
  EXPECT_TRUE(world.said().rows.empty());
}

TEST_F(CoordinatorTest, PositionsAboveDurableFollowItAsItRises) {
  const TopicId topic = world.add_topic("t", 1);
  world.log_of(topic, 0) = {.epoch = 0, .start = 0, .durable = 40, .end = 100};
  joined(1, {"t"}, false);
  world.consume(1, "g", 90);
  world.flush();
  EXPECT_EQ(world.row_offset("g", topic, 0), 40U);
  world.log_of(topic, 0).durable = 70;
  world.kill(1);  // nobody has it any more; it still follows
  EXPECT_EQ(world.row_offset("g", topic, 0), 70U);
  world.log_of(topic, 0).durable = 100;
  world.flush();
  EXPECT_EQ(world.row_offset("g", topic, 0), 90U);
}

TEST_F(CoordinatorTest, APositionThatAClientStoresBackwardsIsPassedOver) {
  const TopicId topic = world.add_topic("t", 1);
  joined(1, {"t"});
  world.consume(1, "g", 50);
  world.flush();
  auto& halves = world.client(1).cells.begin()->second.halves;
  halves[0] = {1, 0, 20, 50};
  halves[1] = {1, 0, 10, 51};
  world.flush();
  EXPECT_EQ(world.row_offset("g", topic, 0), 50U);
}

TEST_F(CoordinatorTest, ADurableCommitIsAnsweredWhenItsRowsAreOnDisk) {
  world.add_topic("t", 2);
  const std::uint64_t group = joined(1, {"t"});
  world.sync();
  world.consume(1, "g", 30);
  world.execute(*world.coordinator().commit_durable(1, group, 77));
  EXPECT_TRUE(world.said().commits.empty());
  world.sync();
  ASSERT_EQ(world.said().commits.size(), 1U);
  EXPECT_EQ(world.said().commits[0].request_id, 77U);
  EXPECT_FALSE(world.said().commits[0].error);
  // All of it is on disk already: the answer comes at once.
  world.execute(*world.coordinator().commit_durable(1, group, 78));
  EXPECT_EQ(world.said().commits.size(), 2U);
}

TEST_F(CoordinatorTest, ADurableCommitWaitsForTheRecordsToBeDurable) {
  const TopicId topic = world.add_topic("t", 1);
  world.log_of(topic, 0).durable = 40;
  const std::uint64_t group = joined(1, {"t"}, false);
  world.consume(1, "g", 90);
  world.execute(*world.coordinator().commit_durable(1, group, 1));
  world.sync();
  EXPECT_TRUE(world.said().commits.empty());
  world.log_of(topic, 0).durable = 100;
  world.flush();
  EXPECT_TRUE(world.said().commits.empty());
  world.sync();
  EXPECT_EQ(world.said().commits.size(), 1U);
}

TEST_F(CoordinatorTest, LaterCommitsDoNotHoldUpADurableOne) {
  world.add_topic("t", 1);
  const std::uint64_t group = joined(1, {"t"});
  world.consume(1, "g", 30);
  world.execute(*world.coordinator().commit_durable(1, group, 1));
  const std::uint64_t sequence = world.said().rows.back().sequence;
  world.consume(1, "g", 30);
  world.flush();  // a younger row is under way while the first is synced
  world.execute(world.coordinator().positions_synced(sequence));
  EXPECT_EQ(world.said().commits.size(), 1U);
}

TEST_F(CoordinatorTest, ADurableCommitOfAnExpelledMemberFails) {
  world.add_topic("t", 1);
  const std::uint64_t group = joined(1, {"t"});
  world.consume(1, "g", 30);
  world.execute(*world.coordinator().commit_durable(1, group, 1));
  world.client(1).stuck = true;
  world.pass_time(400 * kSecond);
  ASSERT_EQ(world.said().commits.size(), 1U);
  EXPECT_EQ(world.said().commits[0].error->code, ErrorCode::kFenced);
}

TEST_F(CoordinatorTest, MemoryTopicsHaveNoDurableCommit) {
  world.add_topic("m", 1, ResetTo::kStart, true);
  const std::uint64_t group = joined(1, {"m"});
  EXPECT_EQ(world.coordinator().commit_durable(1, group, 1).error().code, ErrorCode::kUnsupported);
}

// Administration
// -----------------------------------------------------------------------------------------

TEST_F(CoordinatorTest, ASeekShowsItsRowsAndMovesOnlyWhenTold) {
  const TopicId topic = world.add_topic("t", 2);
  joined(1, {"t"});
  world.consume(1, "g", 50);
  world.kill(1);
  const auto shown = seek(SeekTo::kBackward, 20, false);
  ASSERT_TRUE(shown);
  ASSERT_EQ(shown->rows.size(), 2U);
  EXPECT_TRUE(shown->actions.empty());
  EXPECT_EQ(shown->rows[1].topic, "t");
  EXPECT_EQ(shown->rows[1].partition, 1U);
  EXPECT_EQ(shown->rows[1].from_offset, 50U);
  EXPECT_EQ(shown->rows[1].to_offset, 30U);
  EXPECT_EQ(world.row_offset("g", topic, 1), 50U);

  const auto done = seek(SeekTo::kBackward, 20, true);
  ASSERT_TRUE(done);
  world.execute(done->actions);
  EXPECT_EQ(world.row_offset("g", topic, 1), 30U);
  for (PartitionIndex i = 0; i < 2; ++i) world.expect_position({"g", topic, i}, 30);
  joined(2, {"t"});
  EXPECT_EQ(world.said().pushed.back().assignment.partitions[0].offset, 30U);
}

TEST_F(CoordinatorTest, SeekTargetsAreClampedToTheLog) {
  const TopicId topic = world.add_topic("t", 1);
  joined(1, {"t"});
  world.kill(1);
  world.log_of(topic, 0) = {.epoch = 0, .start = 10, .durable = 80, .end = 100};
  struct Row {
    SeekTo to;
    std::int64_t value;
    Offset expected;
  };
  const Row rows[] = {{SeekTo::kStart, 0, 10},   {SeekTo::kEnd, 0, 80},
                      {SeekTo::kTime, 33, 33},   {SeekTo::kTime, 99, 80},
                      {SeekTo::kForward, 5, 15}, {SeekTo::kForward, INT64_MAX, 80},
                      {SeekTo::kBackward, 5, 10}};
  for (const Row& row : rows) {
    EXPECT_EQ(seek(row.to, row.value, false)->rows.at(0).to_offset, row.expected);
  }
  EXPECT_EQ(seek(SeekTo::kForward, -1, false).error().code, ErrorCode::kBadArgument);
  EXPECT_EQ(seek(SeekTo{9}, 1, false).error().code, ErrorCode::kBadArgument);
}

TEST_F(CoordinatorTest, ASeekByTimeMovesNothingIfOneLogCannotBeRead) {
  const TopicId topic = world.add_topic("t", 2);
  joined(1, {"t"});
  world.consume(1, "g", 50);
  world.kill(1);
  world.unreadable = {1};
  const auto refused = seek(SeekTo::kTime, 10, true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kIo);
  world.flush();
  for (PartitionIndex i = 0; i < 2; ++i) EXPECT_EQ(world.row_offset("g", topic, i), 50U);
  joined(2, {"t"});
  for (const auto& given : world.said().pushed.back().assignment.partitions)
    EXPECT_EQ(given.offset, 50U);
}

TEST_F(CoordinatorTest, SeekAndDeleteAreRefusedWhileAMemberLives) {
  world.add_topic("t", 1);
  joined(1, {"t"});
  EXPECT_TRUE(seek(SeekTo::kStart, 0, false));  // showing it harms nobody
  EXPECT_EQ(seek(SeekTo::kStart, 0, true).error().code, ErrorCode::kGroupBusy);
  EXPECT_EQ(world.coordinator().delete_group("g").error().code, ErrorCode::kGroupBusy);
  world.restart_broker();  // its process lives on and will join again
  EXPECT_EQ(seek(SeekTo::kStart, 0, true).error().code, ErrorCode::kGroupBusy);
  world.kill(1);
  world.execute(seek(SeekTo::kStart, 0, true)->actions);
  world.execute(*world.coordinator().delete_group("g"));
  EXPECT_TRUE(world.rows().empty());
  EXPECT_TRUE(world.coordinator().groups().empty());
  EXPECT_EQ(seek(SeekTo::kStart, 0, true).error().code, ErrorCode::kUnknownGroup);
}

TEST_F(CoordinatorTest, DescribeShowsPositionsAndHolders) {
  world.add_topic("t", 2);
  ASSERT_TRUE(world.join(1, "g", {"t"}, "a"));
  world.poll_all();
  world.consume(1, "g", 30);  // not flushed: what is committed shows at once
  const auto view = world.coordinator().describe("g");
  ASSERT_TRUE(view);
  EXPECT_EQ(view->members, 1U);
  ASSERT_EQ(view->partitions.size(), 2U);
  EXPECT_EQ(view->partitions[1].topic_name, "t");
  EXPECT_EQ(view->partitions[1].position->offset, 30U);
  EXPECT_EQ(view->partitions[1].session, 1);
  EXPECT_EQ(view->partitions[1].instance, "a");
  world.kill(1);
  const auto away = world.coordinator().describe("g");
  EXPECT_EQ(away->members, 0U);
  EXPECT_FALSE(away->partitions[1].session);
  EXPECT_EQ(away->partitions[1].instance, "a");
}

// Restarts
// -----------------------------------------------------------------------------------------

TEST_F(CoordinatorTest, MembersOfAKeptMemoryGoOnReadingAcrossARestart) {
  world.add_topic("t", 4);
  joined(1, {"t"});
  joined(2, {"t"});
  const auto before = world.reading(1, "g");
  world.consume(1, "g", 40);  // not flushed: only the cells know
  world.restart_broker();
  const auto view = world.coordinator().describe("g");
  for (const auto& row : view->partitions) {
    EXPECT_EQ(row.position->offset, row.session == 1 ? 40U : 0U);
  }
  world.clear_said();
  world.rejoin_all();
  world.poll_all();
  EXPECT_EQ(world.reading(1, "g"), before);
  ASSERT_EQ(world.said().pushed.size(), 2U);
  for (const auto& given : world.said().pushed[0].assignment.partitions) {
    EXPECT_EQ(given.offset, 40U);
    EXPECT_LE(given.group_generation, 2U);  // no hand-over took place
  }
  EXPECT_TRUE(world.said().expelled.empty());
}

TEST_F(CoordinatorTest, ARowOfKeptMemoryIsNotTakenForOneOnDisk) {
  world.add_topic("t", 1);
  const std::uint64_t group = joined(1, {"t"});
  world.consume(1, "g", 40);
  world.flush();  // the row is in memory; its broker dies before it is on disk
  world.restart_broker();
  world.rejoin_all();
  world.poll_all();
  world.clear_said();
  world.execute(*world.coordinator().commit_durable(1, group, 7));
  EXPECT_TRUE(world.said().commits.empty());
  world.sync();
  ASSERT_EQ(world.said().commits.size(), 1U);
  EXPECT_FALSE(world.said().commits[0].error);
}

TEST_F(CoordinatorTest, WhoWasBeingExpelledWhenTheBrokerDiedIsNoHolderAnyMore) {
  const TopicId topic = world.add_topic("t", 2);
  joined(1, {"t"});
  world.consume(1, "g", 40);  // only the cells know
  for (auto& [number, cell] : world.client(1).cells) cell.marked = true;
  world.client(1).groups["g"].fenced = true;
  world.restart_broker();  // its rows still name the holder
  for (PartitionIndex i = 0; i < 2; ++i) {
    EXPECT_EQ(world.row_offset("g", topic, i), 40U);
    EXPECT_FALSE(world.rows().at({"g", topic, i}).session);
  }
  joined(2, {"t"});
  EXPECT_EQ(world.reading(2, "g").size(), 2U);
  EXPECT_EQ(world.said().pushed.back().assignment.partitions[0].offset, 40U);
  EXPECT_TRUE(world.said().expelled.empty());
}

TEST_F(CoordinatorTest, MembershipsAreNumberedAcrossBrokers) {
  world.add_topic("t", 1);
  const auto first = world.join(1, "g", {"t"});
  world.restart_broker();
  const auto second = world.join(1, "g", {"t"});
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->member_id, second->member_id);
}

TEST_F(CoordinatorTest, WhoDiesWhileTheBrokerIsDownIsSucceeded) {
  world.add_topic("t", 2);
  joined(1, {"t"});
  joined(2, {"t"});
  world.consume(2, "g", 40);
  world.restart_broker();
  world.kill(2);
  world.rejoin_all();
  world.poll_all();
  EXPECT_EQ(world.reading(1, "g").size(), 2U);
}

TEST_F(CoordinatorTest, WhoDoesNotJoinAgainInTimeIsExpelled) {
  world.add_topic("t", 2);
  joined(1, {"t"});
  world.restart_broker();
  world.pass_time(11 * kSecond);
  ASSERT_EQ(world.said().expelled.size(), 1U);
  EXPECT_EQ(world.said().expelled[0].session, 1);
  joined(2, {"t"});
  EXPECT_EQ(world.reading(2, "g").size(), 2U);
}

TEST_F(CoordinatorTest, StaticMembersFindTheirPartitionsAfterAPowerCut) {
  world.add_topic("t", 4);
  ASSERT_TRUE(world.join(1, "g", {"t"}, "a"));
  ASSERT_TRUE(world.join(2, "g", {"t"}, "b"));
  world.poll_all();
  const auto before = world.reading(2, "g");
  world.consume(2, "g", 25);
  world.flush();
  world.power_cut();
  ASSERT_TRUE(world.join(5, "g", {"t"}, "b"));
  world.poll_all();
  EXPECT_EQ(world.reading(5, "g"), before);
  for (const auto& given : world.said().pushed.back().assignment.partitions) {
    EXPECT_EQ(given.offset, 25U);
    EXPECT_EQ(given.log_epoch, 1U);
  }
}

TEST_F(CoordinatorTest, APositionBeyondWhatSurvivedIsSetBackReportedAndTold) {
  const TopicId topic = world.add_topic("t", 1);
  joined(1, {"t"});
  world.consume(1, "g", 90);
  world.flush();
  world.kill(1);
  world.log_of(topic, 0).durable = 60;  // the disk lied about its flush
  world.power_cut();
  ASSERT_EQ(world.said().set_back.size(), 1U);
  EXPECT_EQ(world.said().set_back[0].from, (Position{0, 90}));
  EXPECT_EQ(world.said().set_back[0].to, (Position{1, 60}));
  EXPECT_EQ(world.row_offset("g", topic, 0), 60U);
  joined(3, {"t"});
  ASSERT_EQ(world.said().notices.size(), 1U);
  EXPECT_EQ(world.said().notices[0].session, 3);
  EXPECT_EQ(world.said().notices[0].notice.code, ErrorCode::kTruncated);
  EXPECT_EQ(world.said().notices[0].notice.offset, 60U);
}

TEST_F(CoordinatorTest, ARowOfAMissingTopicIsKept) {
  world.add_topic("t", 1);
  joined(1, {"t"});
  world.consume(1, "g", 30);
  world.flush();
  world.kill(1);
  GroupCoordinator other{world, {}};
  std::vector<PositionRow> rows;
  for (const auto& [key, row] : world.rows()) rows.push_back(row);
  EXPECT_TRUE(other.restore(rows).empty());  // above all, nothing is forgotten
  EXPECT_EQ(other.groups(), std::vector<std::string>{"g"});
  EXPECT_TRUE(other.describe("g")->partitions.empty());
  EXPECT_TRUE(other.flush().empty());
}

}  // namespace
}  // namespace mallbots::broker
