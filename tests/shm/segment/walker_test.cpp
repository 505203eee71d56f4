#include "shm/segment/walker.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "shm/concurrent/encode.h"

namespace mallbots::shm {
namespace {

constexpr std::uint64_t kSeed = record_seed(PartitionId{77}, 1);

struct alignas(16) Unit {
  std::byte bytes[kUnitBytes];
};

/// Records of the given payload sizes, one batch each, offsets from 0.
struct Log {
  std::vector<Unit> units;
  std::vector<std::size_t> starts;  ///< byte of each record

  explicit Log(const std::vector<std::size_t>& sizes) {
    Offset offset = 0;
    for (const std::size_t size : sizes) {
      const std::string payload(size, static_cast<char>('a' + offset % 26));
      RecordInput input{.payload = std::as_bytes(std::span(payload))};
      RecordHeader header = prepare_header(input, {});
      header.offset = offset++;
      header.flags |= kLastOfBatch;
      starts.push_back(units.size() * kUnitBytes);
      units.resize(units.size() + record_units(header.length));
      put_record(units.front().bytes + starts.back(), header, input, kSeed);
    }
  }
  std::span<std::byte> bytes() { return {units.front().bytes, units.size() * kUnitBytes}; }
};

struct Seen {
  std::vector<Offset> records;
  std::vector<std::pair<Offset, Offset>> lost;
  std::uint64_t end = 0;
};

/// Feeds the walker as a reader of a file would: `window` bytes at a time.
Seen walk(std::span<const std::byte> bytes, std::size_t window) {
  Seen seen;
  RecordWalker walker{{.seed = kSeed}};
  std::size_t want = window;
  for (int guard = 0; guard < 1'000'000; ++guard) {
    const std::size_t at = walker.byte();
    if (at >= bytes.size()) break;
    const std::size_t n = std::min(want, bytes.size() - at);
    const WalkStep step = walker.next(bytes.subspan(at, n), at + n == bytes.size());
    if (step.kind == WalkStep::kNeedMore) {
      want = std::max<std::size_t>(step.need_bytes, n + 16);
      continue;
    }
    want = window;
    if (step.kind == WalkStep::kRecord) seen.records.push_back(step.first_offset);
    if (step.kind == WalkStep::kDamage) seen.lost.emplace_back(step.first_offset, step.end_offset);
    if (step.kind == WalkStep::kUnwritten || step.kind == WalkStep::kEnd) break;
  }
  seen.end = walker.byte();
  return seen;
}

RC_GTEST_PROP(RecordWalker, SeesEveryRecordWhateverTheWindow, ()) {
  const auto sizes = *rc::gen::nonEmpty(
      rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, 500)));
  const auto window = *rc::gen::inRange<std::size_t>(1, 64) * kUnitBytes;
  Log log(sizes);
  const Seen seen = walk(log.bytes(), window);
  RC_ASSERT(seen.records.size() == sizes.size());
  RC_ASSERT(seen.lost.empty());
  RC_ASSERT(seen.end == log.bytes().size());
}

RC_GTEST_PROP(RecordWalker, OneFlippedBitCostsOneRecordAtMost, ()) {
  const auto sizes = *rc::gen::nonEmpty(
      rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, 500)));
  const auto window = *rc::gen::inRange<std::size_t>(1, 64) * kUnitBytes;
  Log log(sizes);
  const auto at = *rc::gen::inRange<std::size_t>(0, log.bytes().size());
  log.bytes()[at] ^= std::byte{1};
  const Seen seen = walk(log.bytes(), window);
  RC_ASSERT(seen.records.size() + 1 >= sizes.size());
  RC_ASSERT(std::is_sorted(seen.records.begin(), seen.records.end()));
  Offset covered = seen.records.size();
  for (const auto& [first, end] : seen.lost) covered += end - first;
  const bool last_is_lost = at >= log.starts.back();
  RC_ASSERT(covered == sizes.size() || last_is_lost);
}

RC_GTEST_PROP(RecordWalker, EndsOnAnyBytes, (std::vector<std::uint8_t> noise)) {
  std::vector<Unit> units(noise.size() / kUnitBytes + 1);
  if (!noise.empty()) std::memcpy(units.front().bytes, noise.data(), noise.size());
  const Seen seen = walk({units.front().bytes, units.size() * kUnitBytes}, 64);
  RC_ASSERT(seen.records.empty());
}

TEST(RecordWalker, ZerosBehindTheLastRecordAreTheEndZerosBetweenRecordsAreDamage) {
  Log log({100, 100, 100});
  log.units.resize(log.units.size() + 64);
  EXPECT_EQ(walk(log.bytes(), 256).records.size(), 3U);
  EXPECT_EQ(walk(log.bytes(), 256).end, log.starts[2] + 176);
  std::memset(log.bytes().data() + log.starts[1], 0, 176);
  const Seen seen = walk(log.bytes(), 256);
  EXPECT_EQ(seen.records, (std::vector<Offset>{0, 2}));
  EXPECT_EQ(seen.lost, (std::vector<std::pair<Offset, Offset>>{{1, 2}}));
}

TEST(RecordWalker, OldRecordsOfTheSameSeedAreNotTakenTwice) {
  Log log({100, 100, 100});
  const std::size_t size = log.starts[1];
  std::memcpy(log.bytes().data() + log.starts[2], log.bytes().data() + log.starts[0], size);
  const Seen seen = walk(log.bytes(), 4096);
  EXPECT_EQ(seen.records, (std::vector<Offset>{0, 1}));
  EXPECT_EQ(seen.lost, (std::vector<std::pair<Offset, Offset>>{{2, 2}}));
}

}  // namespace
}  // namespace mallbots::shm
