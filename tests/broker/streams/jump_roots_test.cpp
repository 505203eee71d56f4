#include "broker/streams/jump_roots.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <vector>

namespace mallbots::broker {
namespace {

using shm::StreamVersion;

TEST(JumpVersion, IsAsThePictureInTheHeaderSays) {
  const StreamVersion expected[] = {0, 1, 0, 3, 4, 3, 0, 7, 8, 7, 10, 11, 10, 7, 0};
  for (StreamVersion version = 1; version <= std::size(expected); ++version)
    EXPECT_EQ(shm::jump_version(version), expected[version - 1]) << version;
}

TEST(JumpVersion, ReachesEveryVersionInTwiceTheLogarithmAndAFewSteps) {
  EXPECT_TRUE(rc::check("any two versions", [] {
    const auto from = *rc::gen::inRange<StreamVersion>(2, shm::kMaxStreamVersion);
    const auto to = *rc::gen::inRange<StreamVersion>(1, from);
    int steps = 0;
    for (StreamVersion at = from; at != to; ++steps) {
      const StreamVersion next = shm::step_towards(to, at);
      RC_ASSERT(next < at);
      RC_ASSERT(next >= to);
      at = next;
    }
    // Myers 1983: at most 3 floor(log2(n + 1)) - 2.
    RC_ASSERT(steps <= 3 * (std::bit_width(from + 1) - 1));
  }));
}

TEST(JumpRoots, GiveEachEventTheOffsetsOfItsPredecessorAndItsJump) {
  JumpRoots roots;
  std::vector<Offset> offsets{kNoOffset};
  for (StreamVersion version = 1; version <= 5000; ++version) {
    const shm::EventLinks links = roots.links_of(version);
    ASSERT_EQ(links.version, version);
    ASSERT_EQ(links.predecessor, offsets[version - 1]);
    const StreamVersion jump = shm::jump_version(version);
    ASSERT_EQ(links.jump, jump == 0 ? kNoOffset : offsets[jump]) << version;
    offsets.push_back(version * 17 + 3);
    roots.push(version, offsets.back());
    ASSERT_EQ(roots.count(), shm::tree_count(version));
    ASSERT_EQ(roots.newest(), offsets.back());
  }
}

TEST(JumpRoots, OfAStreamWhoseHistoryIsGoneKnowWhatTheirLastEventCarries) {
  EXPECT_TRUE(rc::check("any version", [] {
    const auto version = *rc::gen::inRange<StreamVersion>(1, 100'000);
    const bool has_jump = shm::jump_version(version) != 0;
    const shm::EventLinks links{version, version == 1 ? kNoOffset : 1000,
                                has_jump ? 900 : kNoOffset};
    JumpRoots roots = JumpRoots::known_from(links, 1001);
    RC_ASSERT(roots.count() == shm::tree_count(version));
    RC_ASSERT(roots.newest() == 1001U);
    if (has_jump) RC_ASSERT(roots.at(1) == 900U);
    // It goes on: what is not known is told as such, and lost with time.
    for (StreamVersion next = version + 1; next < version + 40; ++next) {
      RC_ASSERT(roots.links_of(next).predecessor == 1001 + (next - version - 1) * 5);
      roots.push(next, 1001 + (next - version) * 5);
      RC_ASSERT(roots.count() == shm::tree_count(next));
    }
  }));
}

TEST(JumpRoots, OfTheLongestStreamFit) {
  std::size_t most = 0;
  // The most trees: one event twice, then every size once.
  StreamVersion version = 1;
  for (int k = 1; version + (StreamVersion{1} << k) - 1 <= shm::kMaxStreamVersion; ++k)
    version += (StreamVersion{1} << k) - 1;
  most = shm::tree_count(version);
  EXPECT_EQ(most, JumpRoots::kMost);
  EXPECT_EQ(JumpRoots::known_from({version, 5, 4}, 6).count(), JumpRoots::kMost);
}

TEST(EventLinks, ComeBackFromAnAttributeBlockWhateverFollows) {
  std::vector<std::byte> block(shm::kEventLinkBytes);
  const shm::EventLinks links{7, 41, kNoOffset};
  shm::put_event_links(std::span<std::byte, shm::kEventLinkBytes>{block}, links);
  EXPECT_EQ(shm::event_links(block), links);
  block.push_back(std::byte{1});  // a torn attribute behind them
  EXPECT_EQ(shm::event_links(block), links);
  for (std::size_t size = 0; size < shm::kEventLinkBytes; ++size)
    EXPECT_EQ(shm::event_links(std::span{block}.first(size)), std::nullopt) << size;
}

TEST(EventLinks, OfAnyBytesAreReadWithinThem) {
  EXPECT_TRUE(rc::check("any bytes", [](const std::vector<std::uint8_t>& bytes) {
    const auto links = shm::event_links(std::as_bytes(std::span{bytes}));
    if (links) RC_ASSERT(links->version >= 1 && links->version <= shm::kMaxStreamVersion);
  }));
}

}  // namespace
}  // namespace mallbots::broker
