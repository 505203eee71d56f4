#include "shm/concurrent/append.h"

#include <algorithm>
#include <cstring>

namespace mallbots::shm {
namespace {

constexpr std::size_t kBatchWithoutAllocation = 256;

/// Sets a flag for a scope: an append from a signal handler finds it set.
class Inside {
 public:
  explicit Inside(bool& flag) noexcept : flag_(flag) { flag_ = true; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside() { flag_ = false; }

 private:
  bool& flag_;
};

/// The hash is inlined here, so that those of several records are under way together.
[[gnu::flatten]] void hash_bodies(std::span<const RecordInput> records,
                                  std::span<std::uint64_t> hashes) noexcept {
  for (std::size_t i = 0; i < records.size(); ++i) hashes[i] = body_hash(records[i]);
}

}  // namespace

Appender::Appender(const PartitionParts& parts, const ProducerSeat& seat)
    : parts_(parts),
      seat_(seat),
      seed_(record_seed(PartitionId{parts.board->partition_id}, parts.board->log_epoch)),
      me_(static_cast<SessionIndex>(parts.session->header.session)),
      data_units_(static_cast<std::uint32_t>(parts.topic->slot_bytes / kUnitBytes)) {
  hashes_.resize(kBatchWithoutAllocation);
  // An earlier Appender of this session may have used the cell: its last sequence must stand until
  // ours is committed.
  const auto first = load_sequence(*seat_.cell, 0);
  const auto second = load_sequence(*seat_.cell, 1);
  next_half_ = first && (!second || first->sequence > second->sequence) ? 1 : 0;
}

Appender::~Appender() { forget_slot(); }

AppendOutcome Appender::append(const RecordInput& record, const AppendOptions& options) {
  if (inside_) return {AppendStatus::kBusy};
  const Inside inside{inside_};
  const std::uint64_t bytes = record_bytes(record);
  if (bytes > parts_.topic->record_max_bytes || record.attributes.size() > UINT16_MAX)
    return {AppendStatus::kTooLarge};
  const std::uint64_t hash = seat_.author.hash_bodies ? body_hash(record) : 0;
  const std::uint32_t units = record_units(static_cast<std::uint32_t>(bytes));
  return run(units, 1, options, [&](std::byte* at, const RecordPlace& first) noexcept {
    write_record(at, record, seat_.author, hash, first, seed_);
  });
}

AppendOutcome Appender::append_batch(std::span<const RecordInput> records,
                                     const AppendOptions& options) {
  if (inside_) return {AppendStatus::kBusy};
  const Inside inside{inside_};
  if (records.empty() || records.size() > kMaxBatchRecords) return {AppendStatus::kTooLarge};
  if (records.size() > hashes_.size()) hashes_.resize(records.size());
  std::uint64_t units = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const std::uint64_t bytes = record_bytes(records[i]);
    if (bytes > parts_.topic->record_max_bytes || records[i].attributes.size() > UINT16_MAX)
      return {AppendStatus::kTooLarge};
    units += record_units(static_cast<std::uint32_t>(bytes));
  }
  if (units * kUnitBytes > parts_.topic->record_max_bytes) return {AppendStatus::kTooLarge};
  if (seat_.author.hash_bodies) hash_bodies(records, hashes_);
  return run(
      static_cast<std::uint32_t>(units), static_cast<std::uint32_t>(records.size()), options,
      [&](std::byte* at, const RecordPlace& first) noexcept { write_batch(at, records, first); });
}

/// The records of a batch one behind the other; hashes_ has those of their bodies.
[[gnu::flatten]] void Appender::write_batch(std::byte* at, std::span<const RecordInput> records,
                                            const RecordPlace& first) const noexcept {
  const std::byte* const end = slot_.data + std::size_t{data_units_} * kUnitBytes;
  for (std::size_t i = 0; i < records.size(); ++i) {
    prefetch_ahead(at, end);
    at = write_record(at, records[i], seat_.author, seat_.author.hash_bodies ? hashes_[i] : 0,
                      {.offset = first.offset + i,
                       .sequence = first.sequence + i,
                       .timestamp_ms = first.timestamp_ms,
                       .batch_position = static_cast<std::uint32_t>(i),
                       .ends_batch = i + 1 == records.size()},
                      seed_);
  }
}

template <class Fill>
AppendOutcome Appender::run(std::uint32_t units, std::uint32_t count, const AppendOptions& options,
                            const Fill& fill) {
  const std::uint64_t last = seat_.last_sequence;
  const std::uint64_t sequence = options.sequence != 0 ? options.sequence : last + 1;
  // A batch that was appended in part only is another batch, not a duplicate.
  if (sequence <= last && last - sequence + 1 >= count) return {AppendStatus::kDuplicate, last};
  if (sequence != last + 1) return {AppendStatus::kOutOfSequence, last};

  LockBackoff backoff;
  for (bool first = true;;) {
    AppendOutcome outcome;
    if (is_readonly()) return {AppendStatus::kReadOnly};
    if (slot_.header == nullptr && !find_open_slot(outcome.status, options.deadline))
      return outcome;
    const Word seen = load_word(*slot_.header);
    if (seen.sealed()) {
      if (!move_on(outcome.status, options.deadline)) return outcome;
      continue;
    }
    const bool ready = !seen.owned() && (seen.tail_units() != 0 || base_known());
    // Re-used since we came here last, perhaps READY far ahead: nobody would fill it for us.
    if (!ready && load_slot_gen(*slot_.header) != slot_gen_) {
      forget_slot();
      continue;
    }
    const UnixMillis now_ms = first && options.now_ms != 0 ? options.now_ms : wall_coarse_ms();
    first = false;
    std::byte* const at = slot_.data + std::size_t{seen.tail_units()} * kUnitBytes;
    // As late as can be: a reader that spins takes a line back that is not written at once.
    if (seen.tail_units() < data_units_) prefetch_record_for_write(at);
    if (!ready || !try_acquire(*slot_.header, seen, me_)) {
      outcome.status = AppendStatus::kTimeout;
      // From now on we sleep: the broker must be awake to see a holder that stalls.
      if (backoff.about_to_sleep()) ring_broker(parts_, true);
      if (!backoff.pause(options.deadline)) return outcome;
      continue;
    }
    const Word held = seen.acquired_by(me_);
    count_call(parts_.session->header.acquires);
    if (seen.tail_units() + units > data_units_ && load_slot_gen(*slot_.header) == slot_gen_) {
      roll(held);
      continue;
    }
    const auto write = [&](LogEnd end) noexcept -> bool {
      const UnixMillis stamp = std::max(now_ms, end.last_timestamp_ms);
      const std::uint32_t tail = seen.tail_units();
      CRASH_POINT("append.write");
      fill(at, RecordPlace{.offset = end.next_offset, .sequence = sequence, .timestamp_ms = stamp});
      // The reader spins on this line. Asked for earlier, it would be gone again by the commit.
      prefetch_for_write(&slot_.header->publication);
      store_pair(*slot_.header, slot_gen_, tail, tail + units, {end.next_offset + count, stamp});
      store_sequence(tail + units, sequence + count - 1);
      outcome = {AppendStatus::kAppended, end.next_offset, stamp};
      return commit(*slot_.header, held, tail + units);
    };
    const Step step = run_section(held, options, outcome, write);
    if (step == Step::kForget) forget_slot();
    if (step != Step::kDone) continue;
    if (outcome.status != AppendStatus::kAppended) return outcome;
    seat_.last_sequence = sequence + count - 1;
    publish(*slot_.header, slot_gen_, held.released().with_tail(seen.tail_units() + units));
    knock(options.await_durable);
    prefetch_next_page(at, at + std::size_t{units} * kUnitBytes);
    return outcome;
  }
}

/// The exclusive section: everything between acquire and commit.
template <class Write>
Appender::Step Appender::run_section(Word held, const AppendOptions& options,
                                     AppendOutcome& outcome, const Write& write) noexcept {
  SlotHeader& slot = *slot_.header;
  // The slot may have been given a new generation between our look at the board and the acquire.
  if (load_slot_gen(slot) != slot_gen_) {
    release(slot, held);
    return Step::kForget;
  }
  // SYNC revoked: seq_cst load after the acquire; seq_cst store in the broker before it reads the
  // word. One of the two sees the other, so no append follows a hand-over.
  if (parts_.session->header.revoked.load(std::memory_order_seq_cst) != 0) {
    release(slot, held);
    outcome.status = AppendStatus::kRevoked;
    return Step::kDone;
  }
  if (is_seat_taken(*seat_.cell)) {
    release(slot, held);
    outcome.status = AppendStatus::kNameTaken;
    return Step::kDone;
  }
  const auto end = end_under_ownership(held);
  if (!end) {
    release(slot, held);
    outcome.status = AppendStatus::kDamaged;
    return Step::kDone;
  }
  if (options.expected_offset != kNoOffset && options.expected_offset != end->next_offset) {
    release(slot, held);
    outcome = {AppendStatus::kConflict, end->next_offset};
    return Step::kDone;
  }
  if (write(*end)) return Step::kDone;
  // FENCED: the broker changed the word, so this commit is definitely not in the log. Nobody may
  // take the half for proof that it is.
  void_sequence();
  return Step::kAgain;
}

/// Where the first record of the slot goes; holder only.
std::optional<LogEnd> Appender::base_under_ownership() const noexcept {
  if (const auto base = load_base(*slot_.header, slot_gen_)) return base;
  if (previous_.header == nullptr) return std::nullopt;
  const auto end = log_end(*previous_.header, slot_gen_ - 1);
  // The previous slot may be retired while we read it. Then the broker has stored the base first.
  if (load_slot_gen(*previous_.header) == slot_gen_ - 1 && end) return end;
  return load_base(*slot_.header, slot_gen_);
}

/// No room: seals the slot at its tail, so that all go on in the next one.
void Appender::roll(Word held) noexcept {
  // Only the broker seals at tail 0 (the next slot would not know its base); record_max is half a
  // slot, so an empty slot always has room.
  if (held.tail_units() == 0 || !seal_held(*slot_.header, held)) {
    release(*slot_.header, held);
    return;
  }
  publish(*slot_.header, slot_gen_, held.released().with_seal());
  knock(true);
}

bool Appender::board_is_open(AppendStatus& status) const noexcept {
  const auto state = static_cast<BoardState>(parts_.topic->state.load());
  if (state == BoardState::kGone) status = AppendStatus::kGone;
  if (state == BoardState::kClosed) status = AppendStatus::kClosed;
  return state == BoardState::kOpen;
}

bool Appender::find_open_slot(AppendStatus& status, Deadline deadline) {
  LockBackoff backoff;
  for (;;) {
    forget_slot();
    if (!board_is_open(status)) return false;
    const SlotGen hint = parts_.board->open_hint.load();
    if (const auto slot_id = slot_on_board(parts_, hint)) {
      if (adopt(hint, *slot_id)) return true;
      status = AppendStatus::kUnmapped;
      if (deadline.has_passed()) return false;
    } else {
      status = AppendStatus::kTimeout;
    }
    // The broker is between two states of this partition, or away.
    if (!backoff.pause(deadline)) return false;
  }
}

bool Appender::move_on(AppendStatus& status, Deadline deadline) {
  const SlotGen next = slot_gen_ + 1;
  LockBackoff backoff;
  for (;;) {
    if (!board_is_open(status)) return false;
    if (const auto slot_id = slot_on_board(parts_, next)) {
      if (adopt(next, *slot_id)) return true;
      status = AppendStatus::kUnmapped;
      if (deadline.has_passed() || !backoff.pause(deadline)) return false;
      continue;
    }
    if (slot_is_past(parts_, next)) return find_open_slot(status, deadline);
    status = AppendStatus::kTimeout;
    if (!room_or_wait(next, deadline)) return false;
  }
}

/// Sleeps on `room` unless slot `wanted` is there; false once the deadline has passed.
bool Appender::room_or_wait(SlotGen wanted, Deadline deadline) noexcept {
  ring_broker(parts_, true);
  const std::uint32_t key = prepare_wait(parts_.knock->room);
  if (slot_on_board(parts_, wanted) || slot_is_past(parts_, wanted)) return true;
  if (AppendStatus ignored{}; !board_is_open(ignored)) return true;
  if (deadline.has_passed()) return false;
  wait(parts_.knock->room, key, deadline);
  return true;
}

/// Takes slot `slot_gen` as the one to append to. The one before stays mapped while it may be
/// needed for the base.
bool Appender::adopt(SlotGen slot_gen, std::uint64_t slot_id) {
  const SlotMemory memory = parts_.slots->map_slot(slot_id);
  if (memory.header == nullptr) return false;
  if (!slot_is_valid(parts_, memory, slot_gen)) {
    parts_.slots->drop_slot(memory);
    return false;
  }
  if (previous_.header != nullptr) parts_.slots->drop_slot(previous_);
  previous_ = {};
  if (slot_.header != nullptr && slot_gen_ + 1 == slot_gen)
    previous_ = slot_;
  else if (slot_.header != nullptr)
    parts_.slots->drop_slot(slot_);
  slot_ = memory;
  slot_gen_ = slot_gen;
  return true;
}

void Appender::forget_slot() {
  if (slot_.header != nullptr) parts_.slots->drop_slot(slot_);
  if (previous_.header != nullptr) parts_.slots->drop_slot(previous_);
  slot_ = {};
  previous_ = {};
  slot_gen_ = kNoSlot;
}

/// True if the first record of the open slot can be given its offset. Maps the slot before if that
/// is where the offset is; outside the section.
bool Appender::base_known() {
  if (load_base(*slot_.header, slot_gen_) || previous_.header != nullptr) return true;
  if (slot_gen_ == 0) return false;
  const auto slot_id = slot_on_board(parts_, slot_gen_ - 1);
  if (!slot_id) return load_base(*slot_.header, slot_gen_).has_value();
  const SlotMemory memory = parts_.slots->map_slot(*slot_id);
  if (memory.header == nullptr) return false;
  if (!slot_is_valid(parts_, memory, slot_gen_ - 1)) {
    parts_.slots->drop_slot(memory);
    return false;
  }
  previous_ = memory;
  return true;
}

/// After a commit that failed.
void Appender::void_sequence() noexcept {
  next_half_ ^= 1;
  shm::void_sequence(*seat_.cell, next_half_);
}

void Appender::ask_for_flush() noexcept { ring_broker(parts_, true); }

}  // namespace mallbots::shm
