// Reading one partition from memory: pin a slot, look at how far it is committed, hand out records
// in place (protocol section 4).
//
// Who calls: a consumer, from one thread, through read-only mappings. Never blocks, never makes a
// system call but for mapping the next slot; waiting is the caller's (wait.h).
//
// A view stays valid until the next call of this reader, or until the broker takes the pin away
// (max.poll.interval, orphan.max): then kExpired. What is handed out is committed: it survives the
// death of any one process. With `durable_only`, it survives a power cut.
#pragma once

#include <cstdint>

#include "shm/concurrent/partition.h"
#include "shm/layout/record.h"

namespace mallbots::shm {

enum class ReadStatus : std::uint8_t {
  kRecord,
  kEmpty,     ///< nothing behind the position yet
  kCold,      ///< the position is no longer in memory: read the files, then seek back
  kAhead,     ///< the position lies behind the end of the log
  kUnmapped,  ///< the next slot could not be mapped (no broker to ask)
  kDamaged,   ///< the bytes at the position are no record, or not the next one
  kExpired,   ///< the pin was taken away; the view before this call may have been overwritten
  kGone,      ///< the topic was deleted
};

class PartitionReader {
 public:
  /// `cell` in the session page belongs to this reader alone.
  PartitionReader(const PartitionParts& parts, ReaderCell& cell, bool durable_only) noexcept;
  PartitionReader(const PartitionReader&) = delete;
  PartitionReader& operator=(const PartitionReader&) = delete;
  ~PartitionReader();

  /// Goes to `offset`. kRecord: next() gives it or the one after it; kEmpty: it is the end of the
  /// log; kCold, kAhead, kUnmapped, kGone as above.
  [[nodiscard]] ReadStatus seek(Offset offset);
  /// Goes behind the last committed record: kEmpty. kCold: the broker is between two states of this
  /// partition, or died there; ask again later.
  [[nodiscard]] ReadStatus seek_end();
  /// Goes to the oldest record that is still in memory. kCold as for seek_end.
  [[nodiscard]] ReadStatus seek_oldest();

  /// The next record; pads are skipped. On any other status the position stays.
  [[nodiscard]] ReadStatus next(RecordView& view);
  /// As next(), but never leaves the current slot, so that the views handed out of it stay valid
  /// with the new one: kEmpty at the slot's end, although the log may go on.
  [[nodiscard]] ReadStatus next_in_slot(RecordView& view) { return advance(view, false); }
  /// The usual case of next_in_slot(): true if the next record is a plain one, known to be
  /// committed. False says nothing but that next_in_slot() must look.
  [[nodiscard]] bool next_at_hand(RecordView& view) noexcept;
  /// All that the last look at the slot showed has been read.
  [[nodiscard]] bool is_at_limit() const noexcept { return position_units_ >= limit_units_; }
  /// Looks once how far the slot is committed; true if that is further than all that was read.
  [[nodiscard]] bool look() noexcept { return slot_.header != nullptr && refresh_limit(false); }
  /// Looks up to `polls` times, as fast as the core can, whether next() would find anything new;
  /// true as soon as it would, or must look at more than this slot.
  [[nodiscard]] bool spin(std::uint32_t polls) noexcept;
  /// False: the broker took the pin away, the views handed out may have been overwritten. One load.
  [[nodiscard]] bool has_pin() const noexcept;
  /// What next() would find, looking at the word itself and not at the publication line: to be
  /// asked after prepare_wait, before sleeping.
  [[nodiscard]] bool has_more() noexcept;

  [[nodiscard]] Offset next_offset() const noexcept { return next_offset_; }
  /// Gives the pins back (a paused consumer must not hold memory); seek() again to go on.
  void unpin() noexcept;

 private:
  enum class Pin : std::uint8_t { kOk, kCold, kNotYet, kUnmapped };

  [[nodiscard]] Pin open_slot(SlotGen slot_gen);
  void close_slot(SlotMemory& memory, std::uint32_t pin) noexcept;
  [[nodiscard]] bool refresh_limit(bool from_word) noexcept;
  [[nodiscard]] ReadStatus advance(RecordView& view, bool may_roll);
  [[nodiscard]] ReadStatus expire() noexcept;
  [[nodiscard]] ReadStatus roll();
  [[nodiscard]] ReadStatus state_when_idle() const noexcept;
  [[nodiscard]] bool parse(std::uint32_t at_units, RecordView& view,
                           std::uint32_t& units) const noexcept;
  [[nodiscard]] std::optional<Offset> first_offset() const noexcept;
  [[nodiscard]] ReadStatus not_opened(Pin pin) noexcept;
  [[nodiscard]] Pin open_hinted(const std::atomic<std::uint64_t>& hint);
  [[nodiscard]] ReadStatus skip_to(Offset offset);
  void note_mark(Offset offset) noexcept;
  void go_to_mark(Offset offset) noexcept;

  /// Where a record begins in the slot `marks_gen_`. A stream is followed backwards, one seek an
  /// event, and most of them into the slot that the last one parsed.
  struct Mark {
    Offset offset = 0;
    std::uint32_t units = 0;
  };
  static constexpr std::size_t kMarks = 128;  ///< a slot, at even distances

  PartitionParts parts_;
  ReaderCell* cell_;
  std::uint32_t data_units_;
  bool durable_only_;
  bool at_end_ = false;  ///< the slot is sealed at limit_units_: what follows is in the next one
  SlotGen slot_gen_ = kNoSlot;
  SlotMemory slot_;
  std::uint32_t pin_ = 0;        ///< which of the cell's two
  std::uint64_t pin_value_ = 0;  ///< what it says while slot_ is open
  std::uint32_t position_units_ = 0;
  std::uint32_t limit_units_ = 0;  ///< committed as far as this reader has seen
  std::uint32_t polls_ = 0;        ///< of the publication line in a row that found nothing new
  /// Where the current slot begins, as the sealed slot before it said; kNoOffset: not known so.
  Offset base_from_previous_ = kNoOffset;
  Offset next_offset_ = 0;
  SlotGen marks_gen_ = kNoSlot;
  std::uint32_t mark_count_ = 0;
  std::array<Mark, kMarks> marks_;  ///< ascending
};

inline bool PartitionReader::has_pin() const noexcept {
  // SYNC revoke: acquire here, so that what was read before was read while the pin stood; seq_cst
  // in revoke_pin, before the memory is used again.
  std::atomic_thread_fence(std::memory_order_acquire);
  return slot_.header == nullptr || cell_->pins[pin_].load(std::memory_order_relaxed) == pin_value_;
}

inline bool PartitionReader::parse(std::uint32_t at_units, RecordView& view,
                                   std::uint32_t& units) const noexcept {
  const std::size_t room = std::size_t{limit_units_ - at_units} * kUnitBytes;
  if (room < kRecordHeaderBytes) return false;
  const std::byte* const at = slot_.data + std::size_t{at_units} * kUnitBytes;
  const auto* header = reinterpret_cast<const RecordHeader*>(at);
  // Each length is read once (volatile: not again later): a mad producer of this topic may change
  // them under us.
  const volatile RecordHeader& shared = *header;
  const std::uint32_t length = shared.length;
  const std::size_t attributes = shared.attribute_bytes;
  const std::size_t key = shared.key_bytes;
  if (length < kRecordHeaderBytes || length > room) return false;
  const std::size_t body = length - kRecordHeaderBytes;
  if (attributes > body || key > body - attributes) return false;
  const std::byte* const first = at + kRecordHeaderBytes;
  view.header = header;
  view.attributes = {first, attributes};
  view.key = {first + attributes, key};
  view.payload = {first + attributes + key, body - attributes - key};
  units = record_units(length);
  return true;
}

inline bool PartitionReader::next_at_hand(RecordView& view) noexcept {
  std::uint32_t units = 0;
  if (position_units_ >= limit_units_ || !parse(position_units_, view, units)) return false;
  const RecordType type = view.header->type;
  const Offset offset = view.header->offset;
  if (type == RecordType::kPad || type == RecordType::kDamaged || offset != next_offset_ ||
      (durable_only_ &&
       // SYNC durable: acquire here; release in publish_durable.
       offset >= parts_.board->durable_offset.load(std::memory_order_acquire)) ||
      !has_pin())
    return false;
  position_units_ += units;
  next_offset_ = offset + 1;
  return true;
}

}  // namespace mallbots::shm
