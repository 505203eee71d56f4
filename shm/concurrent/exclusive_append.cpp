// ExclusiveAppender of append.h: commits without acquire, records written in place.
#include <algorithm>
#include <cstring>

#include "shm/concurrent/append.h"

namespace mallbots::shm {

ExclusiveAppender::ExclusiveAppender(const PartitionParts& parts, const ProducerSeat& seat,
                                     Lease lease)
    : base_(parts, seat), lease_(lease) {}

ExclusiveAppender::~ExclusiveAppender() {
  if (holding_) release(*base_.slot_.header, held_);
}

bool ExclusiveAppender::lease_is_ours() const noexcept {
  // SYNC lease: seq_cst load after the acquire or a failed commit; seq_cst store in the broker
  // before it fences the old holder.
  return base_.parts_.board->lease.load(std::memory_order_seq_cst) == lease_.bits;
}

/// Where the reserved bytes begin: behind the tail of the slot held, or taken out of it.
std::byte* ExclusiveAppender::reserved() noexcept {
  if (!spill_.empty()) return spill_.data();
  return base_.slot_.data + std::size_t{held_.tail_units()} * kUnitBytes;
}

/// May this producer still append? kAppended: yes.
AppendStatus ExclusiveAppender::standing() const noexcept {
  if (base_.parts_.session->header.revoked.load(std::memory_order_seq_cst) != 0)
    return AppendStatus::kRevoked;
  return lease_is_ours() ? AppendStatus::kAppended : AppendStatus::kLeaseLost;
}

/// Acquires the open slot, if it can be had without waiting.
AppendStatus ExclusiveAppender::acquire_slot() {
  SlotHeader& slot = *base_.slot_.header;
  if (load_slot_gen(slot) != base_.slot_gen_) {
    base_.forget_slot();
    return AppendStatus::kTimeout;
  }
  const Word seen = load_word(slot);
  // Owned by our own session means by another producer of this process: it is fenced when the
  // lease moves, like any other.
  if (seen.sealed() || seen.owned() || (seen.tail_units() == 0 && !base_.base_known()) ||
      !try_acquire(slot, seen, base_.me_))
    return AppendStatus::kTimeout;
  const Word held = seen.acquired_by(base_.me_);
  if (load_slot_gen(slot) != base_.slot_gen_) {
    release(slot, held);
    base_.forget_slot();
    return AppendStatus::kTimeout;
  }
  if (const AppendStatus status = standing(); status != AppendStatus::kAppended) {
    release(slot, held);
    return status;
  }
  const auto end = base_.end_under_ownership(held);
  // What is reserved was stamped with the offsets behind end_.
  if (!end || (reserved_records_ != 0 && end->next_offset != end_.next_offset)) {
    release(slot, held);
    return AppendStatus::kDamaged;
  }
  held_ = held;
  end_ = *end;
  holding_ = true;
  return AppendStatus::kAppended;
}

/// Makes room for `units` behind what is reserved, in a slot that this producer holds.
AppendStatus ExclusiveAppender::hold(std::uint32_t units, Deadline deadline) {
  LockBackoff backoff;
  for (;;) {
    if (holding_) {
      if (held_.tail_units() + reserved_units_ + units <= base_.data_units_) {
        unspill();
        return AppendStatus::kAppended;
      }
      spill();
      holding_ = false;
      if (seal_held(*base_.slot_.header, held_)) {
        publish(*base_.slot_.header, base_.slot_gen_, held_.released().with_seal());
        base_.knock(true);
      }
    }
    // Before any waiting: a word that the new holder has would be waited for in vain.
    AppendStatus status = standing();
    if (status != AppendStatus::kAppended) return status;
    if (base_.is_readonly()) return AppendStatus::kReadOnly;
    if (base_.slot_.header == nullptr && !base_.find_open_slot(status, deadline)) return status;
    if (load_word(*base_.slot_.header).sealed()) {
      if (!base_.move_on(status, deadline)) return status;
      continue;
    }
    status = acquire_slot();
    if (status == AppendStatus::kAppended) continue;
    if (status != AppendStatus::kTimeout) return status;
    if (backoff.about_to_sleep()) ring_broker(base_.parts_, true);
    if (!backoff.pause(deadline)) return status;
  }
}

/// Takes the reserved bytes out of a slot that is or will be sealed: the broker may re-use it.
void ExclusiveAppender::spill() {
  if (reserved_units_ == 0 || !spill_.empty()) return;
  const std::byte* const first = reserved();
  spill_.assign(first, first + std::size_t{reserved_units_} * kUnitBytes);
}

void ExclusiveAppender::unspill() noexcept {
  if (spill_.empty()) return;
  std::memcpy(base_.slot_.data + std::size_t{held_.tail_units()} * kUnitBytes, spill_.data(),
              spill_.size());
  spill_.clear();
}

/// Gives the last reserved record its hash and check.
void ExclusiveAppender::finish_pending(std::uint8_t flags) noexcept {
  if (!has_pending_) return;
  has_pending_ = false;
  std::byte* const at = reserved() + std::size_t{pending_at_units_} * kUnitBytes;
  const std::span<const std::byte> body{at + kRecordHeaderBytes,
                                        pending_.length - kRecordHeaderBytes};
  pending_.flags |= flags;
  if (base_.seat_.author.hash_bodies)
    pending_.body_hash = body_hash(
        {.payload = body.subspan(pending_.key_bytes), .key = body.first(pending_.key_bytes)});
  pending_.header_check = header_check(pending_, base_.seed_);
  std::memcpy(at, &pending_, sizeof pending_);
}

ExclusiveAppender::Reservation ExclusiveAppender::reserve(std::size_t payload_bytes,
                                                          Deadline deadline,
                                                          std::span<const std::byte> key) {
  const std::uint64_t bytes = kRecordHeaderBytes + key.size() + payload_bytes;
  const std::uint64_t batch_bytes = std::uint64_t{reserved_units_} * kUnitBytes + bytes;
  if (batch_bytes > base_.parts_.topic->record_max_bytes || reserved_records_ == kMaxBatchRecords)
    return {AppendStatus::kTooLarge, {}};
  const std::uint32_t units = record_units(static_cast<std::uint32_t>(bytes));
  if (const AppendStatus status = hold(units, deadline); status != AppendStatus::kAppended)
    return {status, {}};
  // Only now: if there had been no room, the record before would have stayed the last of the batch.
  finish_pending(0);
  if (reserved_records_ == 0) timestamp_ms_ = std::max(wall_coarse_ms(), end_.last_timestamp_ms);

  pending_ = RecordHeader{};
  pending_.length = static_cast<std::uint32_t>(bytes);
  pending_.type = RecordType::kData;
  pending_.flags = base_.seat_.author.hash_bodies ? kHasBodyHash : 0;
  pending_.offset = end_.next_offset + reserved_records_;
  pending_.producer_id = base_.seat_.author.producer_id;
  pending_.producer_epoch = base_.seat_.author.producer_epoch;
  pending_.sequence = base_.seat_.last_sequence + 1 + reserved_records_;
  pending_.timestamp_ms = timestamp_ms_;
  pending_.batch_position = static_cast<std::uint16_t>(reserved_records_);
  pending_.key_bytes = static_cast<std::uint32_t>(key.size());
  pending_at_units_ = reserved_units_;
  has_pending_ = true;
  std::byte* const at = reserved() + std::size_t{pending_at_units_} * kUnitBytes;
  std::byte* const payload = put(at + kRecordHeaderBytes, key);
  std::byte* const end = at + std::size_t{units} * kUnitBytes;
  for (std::byte* zero = payload + payload_bytes; zero != end; ++zero) *zero = std::byte{0};
  reserved_units_ += units;
  ++reserved_records_;
  return {AppendStatus::kAppended, {payload, payload_bytes}};
}

AppendOutcome ExclusiveAppender::commit(const AppendOptions& options) {
  if (reserved_records_ == 0) return {AppendStatus::kTooLarge};
  if (holding_) prefetch_for_write(&base_.slot_.header->publication);
  finish_pending(kLastOfBatch);
  for (;;) {
    // An earlier reserve(), or the turn before, may have lost the slot.
    if (const AppendStatus status = hold(0, options.deadline); status != AppendStatus::kAppended) {
      discard();
      return {status};
    }
    SlotHeader& slot = *base_.slot_.header;
    const std::uint32_t end_units = held_.tail_units() + reserved_units_;
    const LogEnd end{end_.next_offset + reserved_records_, timestamp_ms_};
    const std::uint64_t last_sequence = base_.seat_.last_sequence + reserved_records_;
    store_pair(slot, base_.slot_gen_, held_.tail_units(), end_units, end);
    base_.store_sequence(end_units, last_sequence);
    if (commit_and_hold(slot, held_, end_units)) {
      const AppendOutcome outcome{AppendStatus::kAppended, end_.next_offset, timestamp_ms_};
      held_ = held_.with_tail(end_units);
      end_ = end;
      base_.seat_.last_sequence = last_sequence;
      discard();
      publish(slot, base_.slot_gen_, held_);
      base_.knock(options.await_durable);
      return outcome;
    }
    base_.void_sequence();
    // FENCED: the lease is gone, which hold() finds out, or the broker sealed the slot (it drains,
    // or met damage). The bytes stay as they are until this session is gone, so they can move on.
    spill();
    holding_ = false;
  }
}

AppendOutcome ExclusiveAppender::append_batch(std::span<const RecordInput> records,
                                              const AppendOptions& options) {
  if (reserved_records_ != 0) return {AppendStatus::kBusy};
  std::uint64_t units = 0;
  for (const RecordInput& record : records) {
    const std::uint64_t bytes = record_bytes(record);
    if (bytes > base_.parts_.topic->record_max_bytes || record.attributes.size() > UINT16_MAX)
      return {AppendStatus::kTooLarge};
    units += record_units(static_cast<std::uint32_t>(bytes));
  }
  if (records.empty() || records.size() > kMaxBatchRecords ||
      units * kUnitBytes > base_.parts_.topic->record_max_bytes)
    return {AppendStatus::kTooLarge};
  const AppendStatus status = hold(static_cast<std::uint32_t>(units), options.deadline);
  if (status != AppendStatus::kAppended) return {status};

  timestamp_ms_ = std::max(wall_coarse_ms(), end_.last_timestamp_ms);
  std::byte* at = reserved();
  for (std::size_t i = 0; i < records.size(); ++i) {
    prefetch_ahead(at, base_.slot_.data + std::size_t{base_.data_units_} * kUnitBytes);
    const RecordInput& record = records[i];
    at = write_record(at, record, base_.seat_.author,
                      base_.seat_.author.hash_bodies ? body_hash(record) : 0,
                      {.offset = end_.next_offset + i,
                       .sequence = base_.seat_.last_sequence + 1 + i,
                       .timestamp_ms = timestamp_ms_,
                       .batch_position = static_cast<std::uint32_t>(i),
                       .ends_batch = i + 1 == records.size()},
                      base_.seed_);
  }
  reserved_units_ = static_cast<std::uint32_t>(units);
  reserved_records_ = static_cast<std::uint32_t>(records.size());
  return commit(options);
}

void ExclusiveAppender::discard() noexcept {
  reserved_units_ = 0;
  reserved_records_ = 0;
  has_pending_ = false;
  spill_.clear();
}

}  // namespace mallbots::shm
