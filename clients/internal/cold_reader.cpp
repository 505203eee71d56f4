#include "clients/internal/cold_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "shm/layout/layout.h"

namespace mallbots::client {

using shm::WalkStep;

ColdReader::ColdReader(shm::UniqueFd file, const shm::FindSegmentReply& where, Offset wanted,
                       std::size_t buffer_bytes)
    : file_(std::move(file)),
      where_(where),
      seed_(shm::record_seed(PartitionId{where.partition_id}, where.log_epoch)),
      next_(wanted),
      capacity_(std::max<std::size_t>(buffer_bytes, shm::kPageBytes)),
      window_byte_(where.start_byte) {
  buffer_ = std::make_unique<std::byte[]>(capacity_);
}

void ColdReader::use_buffer(std::size_t bytes) {
  if (bytes <= capacity_) return;
  buffer_ = std::make_unique<std::byte[]>(bytes);
  capacity_ = bytes;
  window_bytes_ = 0;
}

std::span<const std::byte> ColdReader::rest() const noexcept {
  const std::uint64_t at = walker_ ? walker_->byte() : where_.start_byte;
  return {buffer_.get() + (at - window_byte_), window_bytes_ - (at - window_byte_)};
}

Result<void> ColdReader::fill() {
  window_byte_ = walker_ ? walker_->byte() : where_.start_byte;
  window_bytes_ = 0;
  const std::uint64_t left =
      where_.end_byte > window_byte_ ? where_.end_byte - window_byte_ : std::uint64_t{0};
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(left, capacity_));
  while (window_bytes_ < wanted) {
    const ssize_t got = pread(file_.get(), buffer_.get() + window_bytes_, wanted - window_bytes_,
                              static_cast<off_t>(window_byte_ + window_bytes_));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return fail(ErrorCode::kIo, "reading a segment at byte " +
                                      std::to_string(window_byte_ + window_bytes_) + ": " +
                                      std::strerror(errno));
    if (got == 0) {
      // Shorter than the broker said: what is missing is damage, and told as such.
      where_.end_byte = window_byte_ + window_bytes_;
      break;
    }
    window_bytes_ += static_cast<std::size_t>(got);
  }
  return {};
}

/// The broker says where a record begins, not which one: its own header tells. Behind damage at
/// that place, the first record that checks out.
bool ColdReader::find_start() {
  const auto window = rest();
  std::uint64_t at = 0;
  auto found = shm::check_record(window, seed_, shm::BodyCheck::kSkip);
  const bool knows_itself =
      found.good() || found.fault == shm::RecordFault::kBodyHash ||
      (found.fault == shm::RecordFault::kTruncated && found.bytes > 0 && found.header.length != 0);
  if (!knows_itself) {
    at = shm::find_next_record(
        window, seed_,
        {.from = shm::kUnitBytes, .at_least = where_.base_offset, .at_most = where_.end_offset});
    if (at + shm::kRecordHeaderBytes > window.size()) return false;
    found = shm::check_record(window.subspan(at), seed_, shm::BodyCheck::kSkip);
  }
  walker_.emplace(shm::WalkerStart{
      .seed = seed_, .expected = found.header.offset, .byte = where_.start_byte + at});
  return true;
}

/// The offsets from next_ up to `end` are lost.
ColdReader::Step ColdReader::lose(Offset end) {
  const Step step{.kind = Step::kDamage, .first = next_, .end = end};
  next_ = end;
  return step;
}

ColdReader::Step ColdReader::next() {
  if (window_bytes_ == 0 && window_byte_ < where_.end_byte) return {.kind = Step::kNeedFill};
  if (!walker_ && !find_start()) {
    if (!window_is_last()) {
      use_buffer(capacity_ * 2);
      return {.kind = Step::kNeedFill};
    }
    if (next_ < where_.end_offset) return lose(where_.end_offset);
    return {};
  }
  if (walker_->expected() > next_) return lose(walker_->expected());
  for (;;) {
    const WalkStep step = walker_->next(rest(), window_is_last());
    switch (step.kind) {
      case WalkStep::kRecord:
        if (step.end_offset <= next_) break;
        if (step.view.header->type == shm::RecordType::kDamaged) return lose(step.end_offset);
        next_ = step.end_offset;
        return {.kind = Step::kRecord, .view = step.view};
      case WalkStep::kPad:
        break;
      case WalkStep::kDamage:
        if (step.end_offset > next_) return lose(step.end_offset);
        break;
      case WalkStep::kNeedMore:
        // Only a window that begins at the record and still lacks its end has to grow.
        if (walker_->byte() == window_byte_) use_buffer(step.need_bytes);
        return {.kind = Step::kNeedFill};
      case WalkStep::kUnwritten:
      case WalkStep::kEnd:
        if (next_ < where_.end_offset) return lose(where_.end_offset);
        return {};
    }
  }
}

}  // namespace mallbots::client
