#include "broker/streams/stream_rules.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <array>
#include <vector>

namespace mallbots::broker {
namespace {

using shm::Expect;
using shm::StreamVersion;

StreamState existing(StreamVersion version) {
  std::vector<shm::EventLinks> links(version);
  return *with_events({}, 100, links);
}
StreamState deleted(StreamVersion version) { return *removed(existing(version)); }

TEST(Expectation, IsJudgedByTheTableOfItsHeader) {
  struct Row {
    const char* what;
    StreamState state;
    Expectation expectation;
    ErrorCode expected;
  };
  constexpr ErrorCode kDone = ErrorCode::kNone;
  constexpr ErrorCode kNo = ErrorCode::kConflict;
  const Row rows[] = {
      {"any, no stream      ", {}, {Expect::kAny, 0}, kDone},
      {"any, existing       ", existing(3), {Expect::kAny, 0}, kDone},
      {"any, deleted        ", deleted(3), {Expect::kAny, 0}, kDone},
      {"none, no stream     ", {}, {Expect::kNone, 0}, kDone},
      {"none, existing      ", existing(3), {Expect::kNone, 0}, kNo},
      {"none, deleted       ", deleted(3), {Expect::kNone, 0}, kDone},
      {"exists, no stream   ", {}, {Expect::kExists, 0}, kNo},
      {"exists, existing    ", existing(3), {Expect::kExists, 0}, kDone},
      {"exists, deleted     ", deleted(3), {Expect::kExists, 0}, kNo},
      {"0, no stream        ", {}, {Expect::kVersion, 0}, kDone},
      {"0, existing         ", existing(3), {Expect::kVersion, 0}, kNo},
      {"0, deleted          ", deleted(3), {Expect::kVersion, 0}, kDone},
      {"3, existing at 3    ", existing(3), {Expect::kVersion, 3}, kDone},
      {"2, existing at 3    ", existing(3), {Expect::kVersion, 2}, kNo},
      {"4, existing at 3    ", existing(3), {Expect::kVersion, 4}, kNo},
      {"3, deleted at 3     ", deleted(3), {Expect::kVersion, 3}, kDone},
      {"2, deleted at 3     ", deleted(3), {Expect::kVersion, 2}, kNo},
      {"3, no stream        ", {}, {Expect::kVersion, 3}, kNo},
  };
  for (const Row& row : rows)
    EXPECT_EQ(check_expectation(row.state, row.expectation), row.expected) << row.what;
}

TEST(Streams, CreatedAnewAfterADeletionGoOnWithTheirVersions) {
  std::array<shm::EventLinks, 2> links;
  const auto anew = with_events(deleted(5), 900, links);
  ASSERT_TRUE(anew);
  EXPECT_EQ(links[0].version, 6U);
  EXPECT_EQ(links[0].predecessor, kNoOffset);  // where the new stream begins
  EXPECT_EQ(links[0].jump, 102U);              // the trees go on
  EXPECT_EQ(anew->version, 7U);
  EXPECT_EQ(anew->first, 6U);
  EXPECT_TRUE(anew->exists());
}

TEST(Streams, AreTruncatedUpToTheEventToCome) {
  EXPECT_EQ(truncated(existing(5), 3)->first, 3U);
  EXPECT_EQ(truncated(*truncated(existing(5), 3), 2)->first, 3U);  // never comes back
  EXPECT_EQ(truncated(existing(5), 6)->first, 6U);                 // all
  EXPECT_TRUE(truncated(existing(5), 6)->exists());
  EXPECT_EQ(truncated(existing(5), 7).error().code, ErrorCode::kBadPosition);
  EXPECT_EQ(truncated({}, 1).error().code, ErrorCode::kUnknownStream);
  EXPECT_EQ(truncated(deleted(5), 1).error().code, ErrorCode::kUnknownStream);
  EXPECT_EQ(removed(deleted(5)).error().code, ErrorCode::kUnknownStream);
}

TEST(Streams, EndAtTheirLimits) {
  StreamState state{.version = shm::kMaxStreamVersion - 1, .roots = {}};
  state.roots = JumpRoots::known_from({.version = state.version}, 5);
  std::array<shm::EventLinks, 2> two;
  EXPECT_EQ(with_events(state, 9, two).error().code, ErrorCode::kLimitReached);
  EXPECT_TRUE(with_events(state, 9, std::span{two}.first(1)));
  EXPECT_EQ(with_events({}, StreamIndex::kOffsetLimit - 1, two).error().code,
            ErrorCode::kLimitReached);
}

// Every history, cut anywhere, applied from anywhere
// -----------------------------------------------------------------------------------------

struct Logged {
  StreamRecord record;
  StreamState after;
};

/// A log of one stream among others: appends of one to three events, truncations, deletions.
std::vector<Logged> history(const std::vector<std::uint8_t>& dice) {
  std::vector<Logged> log;
  StreamState state;
  Offset end = 0;
  for (const std::uint8_t die : dice) {
    end += die % 3;  // records of other streams
    if (die % 16 == 0 && state.exists()) {
      log.push_back({{StreamRecord::kRemoval, end++, {.version = state.version}, 0}, {}});
      state = *removed(state);
      log.back().after = state;
    } else if (die % 16 < 4 && state.exists()) {
      const StreamVersion before = 1 + die % (state.version + 1);
      log.push_back({{StreamRecord::kTruncation, end++, {.version = state.version}, before}, {}});
      state = *truncated(state, before);
      log.back().after = state;
    } else {
      std::vector<shm::EventLinks> links(1 + die % 3);
      StreamState one = state;
      state = *with_events(state, end, links);
      for (const shm::EventLinks& link : links) {
        std::array<shm::EventLinks, 1> same;
        one = *with_events(one, end, same);
        RC_ASSERT(same[0] == link);
        log.push_back({{StreamRecord::kEvent, end++, link, 0}, one});
      }
    }
  }
  return log;
}

void assert_same(const StreamState& a, const StreamState& b) {
  RC_ASSERT(a.version == b.version);
  RC_ASSERT(a.first == b.first);
  RC_ASSERT(a.deleted == b.deleted);
  RC_ASSERT(a.roots.count() == b.roots.count());
  for (std::size_t i = 0; i < a.roots.count(); ++i) RC_ASSERT(a.roots.at(i) == b.roots.at(i));
}

TEST(Apply, RebuildsFromTheLogWhatTheRulesMade) {
  EXPECT_TRUE(rc::check("any history", [](const std::vector<std::uint8_t>& dice) {
    StreamState state;
    for (const Logged& logged : history(dice)) {
      RC_ASSERT(apply(state, logged.record));
      assert_same(state, logged.after);
    }
  }));
}

TEST(Apply, ChangesNothingByRecordsThatTheStateHasAlready) {
  EXPECT_TRUE(rc::check("any history, any overlap", [](const std::vector<std::uint8_t>& dice) {
    const auto log = history(dice);
    if (log.empty()) return;
    const auto taken = *rc::gen::inRange<std::size_t>(0, log.size());
    const auto from = *rc::gen::inRange<std::size_t>(0, taken + 1);
    StreamState state = log[taken].after;
    for (std::size_t i = from; i < log.size(); ++i) apply(state, log[i].record);
    assert_same(state, log.back().after);
  }));
}

TEST(Apply, KnowsVersionAndFirstOfALogWhoseBeginningIsGone) {
  EXPECT_TRUE(rc::check("any history, any cut", [](const std::vector<std::uint8_t>& dice) {
    const auto log = history(dice);
    if (log.empty()) return;
    const auto cut = *rc::gen::inRange<std::size_t>(0, log.size());
    StreamState state;
    for (std::size_t i = cut; i < log.size(); ++i) {
      apply(state, log[i].record);
      RC_ASSERT(state.version == log[i].after.version);
      RC_ASSERT(state.deleted == log[i].after.deleted);
      if (log[i].record.kind == StreamRecord::kEvent)
        RC_ASSERT(state.last() == log[i].record.offset);
    }
  }));
}

TEST(StreamRecord, OfAnyBytesIsNothingOrInRange) {
  EXPECT_TRUE(rc::check("any record", [](const std::vector<std::uint8_t>& bytes) {
    shm::RecordHeader header{};
    header.type = static_cast<shm::RecordType>(*rc::gen::inRange(0, 8));
    header.offset = 3;
    const StreamRecord record = stream_record(header, std::as_bytes(std::span{bytes}));
    StreamState state = existing(4);
    apply(state, record);
    RC_ASSERT(state.roots.count() == shm::tree_count(state.version));
  }));
}

}  // namespace
}  // namespace mallbots::broker
