#include "shm/segment/walker.h"

#include <algorithm>

namespace mallbots::shm {

WalkStep RecordWalker::next(std::span<const std::byte> window, bool is_last) noexcept {
  WalkStep step;
  step.byte = start_.byte;
  step.end_byte = start_.byte;
  step.first_offset = start_.expected;
  step.end_offset = start_.expected;
  if (window.size() < kUnitBytes) {
    step.kind = is_last ? WalkStep::kEnd : WalkStep::kNeedMore;
    step.need_bytes = kRecordHeaderBytes;
    return step;
  }
  const CheckedRecord checked = check_record(window, start_.seed, start_.body);
  if (checked.fault == RecordFault::kTruncated && !is_last) {
    step.kind = WalkStep::kNeedMore;
    step.need_bytes = checked.bytes;
    return step;
  }
  if (!checked.good()) return damage(window, is_last, checked);

  step.view = checked.view;
  if (checked.header.type == RecordType::kPad) {
    step.kind = WalkStep::kPad;
    step.end_byte = start_.byte += checked.bytes;
    return step;
  }
  if (checked.header.offset != start_.expected) {
    // Good bytes in the wrong place: what lies between is lost, what comes too late is not taken.
    step.kind = WalkStep::kDamage;
    step.fault = RecordFault::kHeaderCheck;
    if (checked.header.offset > start_.expected) {
      step.end_offset = start_.expected = checked.header.offset;
    } else {
      step.end_byte = start_.byte += checked.bytes;
    }
    inside_batch_ = false;
    return step;
  }
  step.kind = WalkStep::kRecord;
  step.end_byte = start_.byte += checked.bytes;
  step.end_offset = start_.expected += offsets_of(checked.header);
  inside_batch_ = (checked.header.flags & kLastOfBatch) == 0;
  return step;
}

WalkStep RecordWalker::damage(std::span<const std::byte> window, bool is_last,
                              const CheckedRecord& checked) noexcept {
  WalkStep step;
  step.kind = WalkStep::kDamage;
  step.byte = start_.byte;
  step.first_offset = start_.expected;
  step.end_offset = start_.expected;
  step.fault = checked.fault;

  const bool knows_its_place =
      checked.fault == RecordFault::kBodyHash && checked.header.offset == start_.expected;
  if (knows_its_place) {
    step.end_byte = start_.byte += checked.bytes;
    step.end_offset = start_.expected += offsets_of(checked.header);
    inside_batch_ = false;
    return step;
  }
  // A lost record took at least a header, which bounds the offsets that the next one may have.
  const std::uint64_t from =
      checked.fault == RecordFault::kUnwritten ? kUnitBytes : kRecordHeaderBytes;
  const std::uint64_t room = window.size() / kRecordHeaderBytes + 1;
  const std::uint64_t at =
      find_next_record(window, start_.seed, {from, start_.expected, start_.expected + room});
  if (at + kRecordHeaderBytes <= window.size()) {
    const CheckedRecord found = check_record(window.subspan(at), start_.seed, BodyCheck::kSkip);
    step.end_byte = start_.byte += at;
    step.end_offset = start_.expected = found.header.offset;
    inside_batch_ = false;
    return step;
  }
  if (!is_last) {
    step.kind = WalkStep::kNeedMore;
    step.need_bytes = 2 * window.size();
    return step;
  }
  if (checked.fault == RecordFault::kUnwritten) {
    step.kind = WalkStep::kUnwritten;
    step.end_byte = start_.byte;
    return step;
  }
  step.end_byte = start_.byte += window.size() / kUnitBytes * kUnitBytes;
  return step;
}

}  // namespace mallbots::shm
