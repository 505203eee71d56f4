#include "broker/groups/positions.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace mallbots::broker {
namespace {

using shm::SeekTo;

constexpr LogState kLog{.epoch = 2, .start = 10, .durable = 80, .end = 100};
constexpr std::optional<Position> kNone;

Position at(Offset offset, LogEpoch epoch = 2) { return {epoch, offset}; }

TEST(CommittedPosition, IsTheHigherHalfThatCounts) {
  struct Row {
    const char* what;
    CellHalf a, b;  // generation, log epoch, offset, store number
    std::optional<Position> expected;
  };
  const Row rows[] = {
      {"never stored          ", {0, 0, 0, 0}, {0, 0, 0, 0}, kNone},
      {"only one half         ", {7, 2, 20, 1}, {0, 0, 0, 0}, at(20)},
      {"the higher store      ", {7, 2, 20, 1}, {7, 2, 30, 2}, at(30)},
      {"whichever half it is  ", {7, 2, 30, 2}, {7, 2, 20, 1}, at(30)},
      {"a former generation   ", {6, 2, 30, 9}, {7, 2, 20, 1}, at(20)},
      {"only former ones      ", {6, 2, 30, 9}, {5, 2, 20, 8}, kNone},
      {"a generation to come  ", {8, 2, 30, 9}, {7, 2, 20, 1}, at(20)},
      {"another log epoch     ", {7, 1, 30, 9}, {7, 2, 20, 1}, at(20)},
      {"beyond the end        ", {7, 2, 101, 9}, {7, 2, 20, 1}, at(20)},
      {"just at the end       ", {7, 2, 100, 9}, {7, 2, 20, 1}, at(100)},
      {"store number 0 is void", {7, 2, 30, 0}, {7, 2, 20, 1}, at(20)},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(committed_position({row.a, row.b}, 7, kLog), row.expected) << row.what;
  }
}

TEST(CommittedPosition, IsNeverBeyondTheLogWhateverAClientWrote) {
  EXPECT_TRUE(rc::check("any halves", [](std::array<std::uint64_t, 8> bits) {
    const auto half = [&](std::size_t i) {
      return CellHalf{.group_generation = static_cast<std::uint32_t>(bits[i] % 3),
                      .log_epoch = static_cast<LogEpoch>(bits[i + 1] % 4),
                      .offset = bits[i + 2],
                      .store = bits[i + 3]};
    };
    const auto position = committed_position({half(0), half(4)}, 1, kLog);
    RC_ASSERT(!position || (position->offset <= kLog.end && position->log_epoch == kLog.epoch));
    if (position) RC_ASSERT(persistable(*position, kLog).offset <= kLog.durable);
  }));
}

TEST(MovesForward, NeverBackNeverToAnOlderEpoch) {
  EXPECT_TRUE(moves_forward(kNone, at(0)));
  EXPECT_TRUE(moves_forward(at(5), at(5)));
  EXPECT_TRUE(moves_forward(at(5), at(6)));
  EXPECT_FALSE(moves_forward(at(5), at(4)));
  EXPECT_FALSE(moves_forward(at(5), at(6, 1)));
}

TEST(Persistable, StopsAtTheDurablePosition) {
  EXPECT_EQ(persistable(at(79), kLog), at(79));
  EXPECT_EQ(persistable(at(80), kLog), at(80));
  EXPECT_EQ(persistable(at(99), kLog), at(80));
}

TEST(SettlePosition, SetsBackWhatAnUncleanStartTookBack) {
  const EpochStart starts[] = {{1, 40}, {2, 60}, {3, 50}};
  const LogState log{.epoch = 3, .start = 0, .durable = 90, .end = 90};
  struct Row {
    Position before;
    Offset after;
    bool truncated;
  };
  const Row rows[] = {
      {{0, 30}, 30, false}, {{0, 40}, 40, false}, {{0, 41}, 40, true},  {{1, 50}, 50, false},
      {{1, 60}, 50, true},  {{1, 61}, 50, true},  {{2, 50}, 50, false}, {{2, 51}, 50, true},
      {{3, 70}, 70, false}, {{3, 90}, 90, false}, {{3, 91}, 90, true},
  };
  for (const Row& row : rows) {
    const SettledPosition settled = settle_position(row.before, log, starts);
    EXPECT_EQ(settled.position, at(row.after, 3)) << row.before.log_epoch << row.before.offset;
    EXPECT_EQ(settled.truncated, row.truncated) << row.before.log_epoch << row.before.offset;
  }
}

TEST(SettlePosition, StaysInQuarantineWhereNobodyKnowsTheEnd) {
  const LogState log{.epoch = 3, .durable = 90, .end = 90, .quarantined = true};
  const SettledPosition settled = settle_position(at(95, 3), log, {});
  EXPECT_EQ(settled.position, at(95, 3));
  EXPECT_FALSE(settled.truncated);
}

TEST(FirstPosition, GoesOnOrAsksTheResetSetting) {
  EXPECT_EQ(first_position(at(50), kLog, ResetTo::kFail, true), at(50));
  EXPECT_EQ(first_position(at(90), kLog, ResetTo::kStart, true), at(90));  // read committed so far
  EXPECT_EQ(first_position(kNone, kLog, ResetTo::kStart, true), at(10));
  EXPECT_EQ(first_position(kNone, kLog, ResetTo::kEnd, true), at(80));
  EXPECT_EQ(first_position(kNone, kLog, ResetTo::kEnd, false), at(100));
  EXPECT_EQ(first_position(kNone, kLog, ResetTo::kFail, true), kNone);
  // Retention has overtaken it.
  EXPECT_EQ(first_position(at(9), kLog, ResetTo::kStart, true), at(10));
  EXPECT_EQ(first_position(at(9), kLog, ResetTo::kEnd, true), at(80));
  EXPECT_EQ(first_position(at(9), kLog, ResetTo::kFail, true), kNone);
}

TEST(LagOf, CountsRecordsAndTheAgeOfTheOldestUnread) {
  struct Row {
    std::optional<Position> position;
    Offset end;
    std::optional<UnixMillis> stamp;
    std::uint64_t records;
    std::int64_t time_ms;
  };
  const Row rows[] = {
      {at(70), 80, 4'000, 10, 1'000},  //
      {at(80), 80, 4'000, 0, 0},       // nothing unread: no age, whatever stamp was found
      {at(90), 80, 4'000, 0, 0},       // read committed, counted to the durable end
      {at(70), 80, {}, 10, 0},         // no stamp found
      {at(70), 80, 6'000, 10, 0},      // the clock was set back
      {kNone, 80, 4'000, 70, 1'000},   // nothing read yet
      {at(5), 80, 4'000, 70, 1'000},   // what retention took is not behind
  };
  for (const Row& row : rows) {
    const Lag lag = lag_of(row.position, kLog, row.end, row.stamp, 5'000);
    EXPECT_EQ(lag.records, row.records);
    EXPECT_EQ(lag.time_ms, row.time_ms);
  }
}

TEST(SeekTarget, IsClampedToTheDurableLog) {
  struct Row {
    SeekTo to;
    std::uint64_t value;
    Offset from;
    Offset expected;
  };
  const Row rows[] = {
      {SeekTo::kStart, 0, 50, 10},       {SeekTo::kEnd, 0, 50, 80},
      {SeekTo::kTime, 42, 50, 42},       {SeekTo::kTime, 5, 50, 10},
      {SeekTo::kTime, 100, 50, 80},      {SeekTo::kForward, 7, 50, 57},
      {SeekTo::kForward, 31, 50, 80},    {SeekTo::kForward, ~0ULL, 50, 80},
      {SeekTo::kBackward, 7, 50, 43},    {SeekTo::kBackward, 41, 50, 10},
      {SeekTo::kBackward, ~0ULL, 5, 10}, {SeekTo::kForward, 1, kNoOffset, 11},
      {SeekTo::kBackward, 1, 95, 79},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(seek_target(row.to, row.value, row.from, kLog), row.expected)
        << static_cast<int>(row.to) << " " << row.value << " from " << row.from;
  }
}

}  // namespace
}  // namespace mallbots::broker
