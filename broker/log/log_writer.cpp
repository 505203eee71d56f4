#include "broker/log/log_writer.h"

#include <algorithm>

#include "shm/base/check.h"
#include "shm/base/hash.h"

namespace mallbots::broker {

std::uint64_t broker_producer_id(PartitionId partition) noexcept {
  constexpr std::uint64_t kBroker = 0x72656B6F72626D62;  // "mbbroker"
  const std::uint64_t id = xxh3(&partition, sizeof partition, kBroker);
  return id != 0 ? id : kBroker;
}

LogWriter::LogWriter(const Parts& parts) : parts_(parts) {
  seat_.cell = &cell_;
  seat_.author.producer_id = broker_producer_id(PartitionId{parts.board.partition_id});
  seat_.author.hash_bodies =
      (parts.topic.flags & static_cast<std::uint32_t>(shm::TopicFlag::kHeaderChecksum)) == 0;
}

WriteOutcome LogWriter::append(std::span<const shm::RecordInput> records,
                               const WriteOptions& options) {
  if (!seated_) {
    seat_.last_sequence = parts_.ring.end_offset();
    seated_ = true;
  }
  // One for each call: what it has mapped is the ring's, and may be gone by the next turn.
  shm::PartitionParts parts;
  parts.topic = &parts_.topic;
  parts.board = &parts_.board;
  parts.knock = &parts_.knock;
  parts.session = &parts_.session;
  parts.slots = this;
  shm::Appender appender{parts, seat_};
  const shm::AppendOutcome outcome =
      appender.append_batch(records, {.expected_offset = options.expected_offset});
  seat_.last_sequence = appender.last_sequence();
  switch (outcome.status) {
    case shm::AppendStatus::kAppended:
      parts_.flush_now = parts_.flush_now || options.flush;
      return {WriteStatus::kAppended, outcome.offset, outcome.timestamp_ms};
    case shm::AppendStatus::kConflict:
      return {WriteStatus::kConflict, outcome.offset};
    case shm::AppendStatus::kTooLarge:
      return {WriteStatus::kTooLarge};
    case shm::AppendStatus::kReadOnly:
      return {.status = WriteStatus::kReadOnly,
              .reason = static_cast<ErrorCode>(parts_.board.readonly.load())};
    case shm::AppendStatus::kClosed:
    case shm::AppendStatus::kGone:
      return {WriteStatus::kClosed};
    case shm::AppendStatus::kDamaged:
      // A producer has overwritten where the slot ends. Nobody can append to it; the persister
      // makes damaged records of what does not check out.
      parts_.ring.seal(parts_.ring.open_slot_gen());
      return {WriteStatus::kBusy};
    case shm::AppendStatus::kTimeout:
    case shm::AppendStatus::kUnmapped:
      return {why_not()};
    case shm::AppendStatus::kDuplicate:
    case shm::AppendStatus::kOutOfSequence:
    case shm::AppendStatus::kRevoked:
    case shm::AppendStatus::kLeaseLost:
    case shm::AppendStatus::kNameTaken:
    case shm::AppendStatus::kBusy:
      break;
  }
  CHECK(false);  // no sequence, no lease, no other thread: only a bug of ours leads here
  return {};
}

WriteStatus LogWriter::why_not() const noexcept {
  const bool any_open = std::ranges::any_of(parts_.ring.slots(), [](const HotSlot& slot) {
    return !shm::load_word_seq_cst(slot.header()).sealed();
  });
  return any_open ? WriteStatus::kBusy : WriteStatus::kNoRoom;
}

shm::SlotMemory LogWriter::map_slot(std::uint64_t slot_id) {
  const HotSlot* const slot = parts_.ring.find_id(slot_id);
  if (slot == nullptr) return {};
  return {&slot->header(), slot->mapping.data() + shm::kPageBytes};
}

void LogWriter::drop_slot(shm::SlotMemory /*memory*/) {}

}  // namespace mallbots::broker
