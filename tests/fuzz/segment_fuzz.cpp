// The segment parser under libFuzzer: header block, trailer, footer and records from any bytes, as
// a cold reader, recovery or `mallbots verify` would meet them. A finding is a read outside the
// bytes, a walk that does not end, or offsets that step back.
//
// Input: one byte of mode, then a file. Mode bit 0: give the headers found valid checks, so that
// what lies behind the checks is reached; bits 1 to 7: the window of the walk.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "shm/base/check.h"
#include "shm/segment/footer.h"
#include "shm/segment/walker.h"

namespace mallbots::shm {
namespace {

constexpr std::uint64_t kSeed = record_seed(PartitionId{1}, 1);

struct alignas(16) Unit {
  std::byte bytes[kUnitBytes];
};

template <class T>
void with_check(std::span<std::byte> bytes, std::size_t at, const T& make_valid) {
  typename T::Struct value;
  if (at + sizeof(value) > bytes.size()) return;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  make_valid.apply(value);
  std::memcpy(bytes.data() + at, &value, sizeof(value));
}

struct ValidRecord {
  using Struct = RecordHeader;
  void apply(RecordHeader& header) const { header.header_check = header_check(header, kSeed); }
};
struct ValidHeader {
  using Struct = SegmentHeader;
  void apply(SegmentHeader& header) const {
    header.magic = kSegmentMagic;
    header.version = kSegmentVersion;
    header.check = xxh3(&header, offsetof(SegmentHeader, check));
  }
};
struct ValidTrailer {
  using Struct = SegmentTrailer;
  std::span<const std::byte> body;
  void apply(SegmentTrailer& trailer) const {
    trailer.magic = kTrailerMagic;
    trailer.version = kSegmentVersion;
    trailer.footer_bytes = static_cast<std::uint32_t>(body.size() + sizeof(SegmentTrailer));
    trailer.body_check = xxh3(body);
    trailer.check = xxh3(&trailer, offsetof(SegmentTrailer, check));
  }
};

void walk(std::span<const std::byte> bytes, std::size_t window) {
  RecordWalker walker{{.seed = kSeed}};
  std::size_t want = window;
  std::uint64_t last_byte = 0;
  Offset last_offset = 0;
  while (walker.byte() < bytes.size()) {
    const std::size_t at = walker.byte();
    const std::size_t n = std::min(want, bytes.size() - at);
    // A copy of its own, so that a read outside the window is one outside memory.
    std::vector<Unit> copy(n / kUnitBytes + 1);
    std::memcpy(copy.front().bytes, bytes.data() + at, n);
    const WalkStep step = walker.next({copy.front().bytes, n}, at + n == bytes.size());
    if (step.kind == WalkStep::kNeedMore) {
      want = std::max<std::size_t>(step.need_bytes, n + kUnitBytes);
      continue;
    }
    want = window;
    if (step.kind == WalkStep::kUnwritten || step.kind == WalkStep::kEnd) break;
    CHECK(step.end_byte >= step.byte && step.byte == last_byte);
    CHECK(step.end_offset >= step.first_offset || step.kind == WalkStep::kPad);
    CHECK(walker.byte() > last_byte || walker.expected() > last_offset);
    last_byte = walker.byte();
    last_offset = walker.expected();
  }
}

void run(std::span<const std::uint8_t> input) {
  if (input.empty()) return;
  const std::uint8_t mode = input[0];
  input = input.subspan(1);
  std::vector<Unit> units(input.size() / kUnitBytes + 1);
  if (!input.empty()) std::memcpy(units.front().bytes, input.data(), input.size());
  const std::span<std::byte> bytes(units.front().bytes, input.size());
  if ((mode & 1) != 0) {
    for (std::size_t at = 0; at + kRecordHeaderBytes <= bytes.size();
         at += 4 * kRecordHeaderBytes) {
      with_check(bytes, at, ValidRecord{});
    }
  }
  walk(bytes, (std::size_t{mode} / 2 + 1) * kUnitBytes);

  if ((mode & 1) != 0) {
    with_check(bytes, 0, ValidHeader{});
    if (bytes.size() >= sizeof(SegmentTrailer)) {
      const std::size_t body = bytes.size() - sizeof(SegmentTrailer);
      with_check(bytes, body, ValidTrailer{bytes.first(body)});
    }
  }
  (void)parse_segment_header(bytes);
  (void)is_unborn(bytes);
  (void)parse_trailer(bytes, bytes.size());
  if (const auto footer = parse_footer(bytes)) {
    (void)seek_offset(*footer, footer->trailer.end_offset / 2);
    (void)seek_time(*footer, footer->trailer.running_max_ms);
    (void)encode_footer(*footer);
  }
}

}  // namespace
}  // namespace mallbots::shm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mallbots::shm::run({data, size});
  return 0;
}
