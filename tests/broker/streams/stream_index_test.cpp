#include "broker/streams/stream_index.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <string>

namespace mallbots::broker {
namespace {

StreamState at_version(shm::StreamVersion version, Offset seed) {
  StreamState state;
  for (shm::StreamVersion v = 1; v <= version; ++v) state.roots.push(v, seed + v * 3);
  state.version = version;
  return state;
}

void expect_same(const StreamState& a, const StreamState& b) {
  ASSERT_EQ(a.version, b.version);
  ASSERT_EQ(a.first, b.first);
  ASSERT_EQ(a.deleted, b.deleted);
  ASSERT_EQ(a.roots.count(), b.roots.count());
  for (std::size_t i = 0; i < a.roots.count(); ++i) ASSERT_EQ(a.roots.at(i), b.roots.at(i)) << i;
}

TEST(StreamIndex, KeepsEveryStateOfManyStreamsThroughAllGrowth) {
  StreamIndex index;
  std::map<std::uint32_t, StreamState> model;
  const auto id = [](std::uint32_t i) { return stream_key("order-" + std::to_string(i)); };
  std::uint64_t dice = 88172645463325252ULL;
  const auto next = [&dice] {
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return dice;
  };
  for (int step = 0; step < 120'000; ++step) {
    const auto i = static_cast<std::uint32_t>(next() % 40'000);
    StreamState state = at_version(1 + next() % 70, next() % (Offset{1} << 46));
    if (next() % 10 == 0) {
      state.deleted = true;
      state.first = state.version + 1;
    } else if (next() % 5 == 0) {
      state.first = 1 + next() % (state.version + 1);
    }
    index.put(id(i), state);
    model[i] = state;
    // What was put while the table grows is found, too.
    if (step % 64 == 0) expect_same(index.state_of(id(i)), state);
  }
  EXPECT_EQ(index.streams(), model.size());
  for (const auto& [i, state] : model) {
    expect_same(index.state_of(id(i)), state);
    const auto number = index.find(id(i));
    ASSERT_TRUE(number);
    EXPECT_EQ(index.key_at(*number), id(i));
  }
  EXPECT_FALSE(index.find(stream_key("nobody")));
  EXPECT_EQ(index.state_of(stream_key("nobody")).version, 0U);
}

TEST(StreamIndex, TakesAtMost48BytesAStreamOfTenEvents) {
  for (const std::uint32_t streams : {100'000U, 250'000U, 300'000U}) {
    StreamIndex index;
    for (std::uint32_t i = 0; i < streams; ++i)
      index.put(stream_key("customer-" + std::to_string(i)), at_version(10, i * 64ULL));
    EXPECT_LE(static_cast<double>(index.memory_bytes()) / streams, 48.0) << streams;
  }
}

TEST(StreamIndex, UsesTheRoomOfRootsAgainThatAStreamNeedsNoMore) {
  StreamIndex index;
  for (std::uint32_t i = 0; i < 5000; ++i)
    index.put(stream_key(std::to_string(i)), at_version(12, i));  // four roots
  const std::uint64_t first = index.memory_bytes();
  for (int round = 0; round < 20; ++round) {
    for (std::uint32_t i = 0; i < 5000; ++i)
      index.put(stream_key(std::to_string(i)), at_version(15, i));  // one root
    for (std::uint32_t i = 0; i < 5000; ++i)
      index.put(stream_key(std::to_string(i)), at_version(26, i));  // four again
  }
  EXPECT_EQ(index.memory_bytes(), first);
}

TEST(StreamIndex, HoldsTheLargestNumbersAndUnknownRoots) {
  StreamIndex index;
  StreamState state{.version = shm::kMaxStreamVersion, .roots = {}};
  state.roots = JumpRoots::known_from({.version = state.version}, StreamIndex::kOffsetLimit - 1);
  index.put(stream_key("long"), state);
  expect_same(index.state_of(stream_key("long")), state);
  EXPECT_EQ(index.state_of(stream_key("long")).last(), StreamIndex::kOffsetLimit - 1);
}

}  // namespace
}  // namespace mallbots::broker
