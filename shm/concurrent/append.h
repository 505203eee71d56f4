// Appending to one partition: acquire the open slot's word, write past the tail, commit and unlock
// with one CAS, publish, knock (protocol section 3).
//
// Who calls: a producer, from one thread; several Appenders of one or many processes append to one
// partition at the same time. An append made by a signal handler inside another one of the same
// Appender gives kBusy.
//
// A completed append (kAppended): the record is visible to every reader of the partition and
// survives the death of any one process, the broker included. It survives a power cut once the
// board's durable offset has passed it. Any other status: the record is not in the log and never
// will be.
//
// Between acquire and commit: noexcept, no allocation, no system call, no callback.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "shm/base/clock.h"
#include "shm/concurrent/cells.h"
#include "shm/concurrent/encode.h"
#include "shm/concurrent/partition.h"
#include "shm/layout/session_page.h"

namespace mallbots::shm {

enum class AppendStatus : std::uint8_t {
  kAppended,
  kDuplicate,      ///< this producer appended the sequence before
  kConflict,       ///< the next offset is not the expected one; `offset` has it
  kOutOfSequence,  ///< the sequence leaves a gap; `offset` has the last one accepted
  kTooLarge,
  kTimeout,
  kRevoked,
  kLeaseLost,
  kClosed,    ///< the broker drains: attach to the next one, then append again
  kGone,      ///< the topic was deleted
  kReadOnly,  ///< appends are refused: disk full or failed; the board's `readonly` says why
  kUnmapped,  ///< the open slot could not be mapped (no broker to ask)
  kDamaged,   ///< the slot's header contradicts itself; the broker must look at it
  kBusy,
  kNameTaken,  ///< another holder of the producer's name was let in; final
};

struct AppendOutcome {
  AppendStatus status = AppendStatus::kTimeout;
  Offset offset = kNoOffset;  ///< of the first record
  UnixMillis timestamp_ms = 0;
};

struct AppendOptions {
  Deadline deadline = Deadline::passed();  ///< a try by default
  Offset expected_offset = kNoOffset;      ///< kNoOffset: any
  std::uint64_t sequence = 0;              ///< of the first record; 0: the next one
  bool await_durable = false;              ///< somebody will wait: wakes the broker now
  UnixMillis now_ms = 0;                   ///< wall_coarse_ms() if it has just been read; 0: no
};

/// The cell of a producer in its session page, and what the session last appended through it.
struct ProducerSeat {
  ProducerCell* cell = nullptr;
  std::uint64_t last_sequence = 0;
  Author author;
};

class Appender {
 public:
  /// `seat.cell` belongs to this Appender alone.
  Appender(const PartitionParts& parts, const ProducerSeat& seat);
  Appender(const Appender&) = delete;
  Appender& operator=(const Appender&) = delete;
  ~Appender();

  [[nodiscard]] AppendOutcome append(const RecordInput& record, const AppendOptions& options);
  /// All records or none, one after the other, with one commit. 1 to kMaxBatchRecords records;
  /// more than 256 for the first time allocates.
  [[nodiscard]] AppendOutcome append_batch(std::span<const RecordInput> records,
                                           const AppendOptions& options);

  [[nodiscard]] std::uint64_t last_sequence() const noexcept { return seat_.last_sequence; }
  /// Whose the records of the next appends are, and that producer's last accepted sequence. For the
  /// broker, which appends what others hand in.
  void speak_for(const Author& author, std::uint64_t last_sequence) noexcept {
    seat_.author = author;
    seat_.last_sequence = last_sequence;
  }
  /// Wakes the broker if it sleeps past this commit: for whoever waits for durability.
  void ask_for_flush() noexcept;

 private:
  friend class ExclusiveAppender;
  enum class Step : std::uint8_t { kDone, kAgain, kForget };

  template <class Fill>
  AppendOutcome run(std::uint32_t units, std::uint32_t count, const AppendOptions& options,
                    const Fill& fill);
  template <class Write>
  Step run_section(Word held, const AppendOptions& options, AppendOutcome& outcome,
                   const Write& write) noexcept;
  void write_batch(std::byte* at, std::span<const RecordInput> records,
                   const RecordPlace& first) const noexcept;
  bool find_open_slot(AppendStatus& status, Deadline deadline);
  bool move_on(AppendStatus& status, Deadline deadline);
  bool adopt(SlotGen slot_gen, std::uint64_t slot_id);
  void forget_slot();
  bool base_known();
  [[nodiscard]] bool board_is_open(AppendStatus& status) const noexcept;
  [[nodiscard]] bool is_readonly() const noexcept {
    return parts_.board->readonly.load(std::memory_order_relaxed) != 0;
  }
  [[nodiscard]] bool room_or_wait(SlotGen wanted, Deadline deadline) noexcept;
  [[nodiscard]] std::optional<LogEnd> end_under_ownership(Word held) const noexcept {
    if (held.tail_units() == 0) return base_under_ownership();
    return find_pair(*slot_.header, slot_gen_, held.tail_units());
  }
  [[nodiscard]] std::optional<LogEnd> base_under_ownership() const noexcept;
  void roll(Word held) noexcept;
  /// Before the commit that makes it true.
  void store_sequence(std::uint64_t end_units, std::uint64_t sequence) noexcept {
    shm::store_sequence(*seat_.cell, next_half_, {slot_gen_, end_units, sequence});
    next_half_ ^= 1;
  }
  void void_sequence() noexcept;
  void knock(bool even_with_timer) noexcept {
    CRASH_POINT("append.knock");
    wake_if_waited(parts_.knock->data);
    ring_broker(parts_, even_with_timer);
  }

  PartitionParts parts_;
  ProducerSeat seat_;
  std::uint64_t seed_;
  SessionIndex me_;
  bool inside_ = false;
  std::uint8_t next_half_ = 0;
  SlotGen slot_gen_ = kNoSlot;
  SlotMemory slot_;
  SlotMemory previous_;  ///< of slot_gen_ - 1, only while the base is not known
  std::uint32_t data_units_;
  std::vector<std::uint64_t> hashes_;  ///< of the bodies of a batch
};

/// The only producer of its partition (`producers=exclusive`): holds the word for a whole slot, so
/// a commit needs no acquire, and writes records in place. From one thread.
///
/// reserve() then commit(); several reserves make a batch that one commit makes visible. The next
/// reserve() ends the span of the one before, also when it fails; commit() then commits what was
/// reserved until then. What was reserved and not committed is not in the
/// log. kLeaseLost is final: another producer took over, nothing reserved is in the log, and it
/// must not be retried (it could come after the other's).
class ExclusiveAppender {
 public:
  /// `lease` as the broker granted it to this session.
  ExclusiveAppender(const PartitionParts& parts, const ProducerSeat& seat, Lease lease);
  ExclusiveAppender(const ExclusiveAppender&) = delete;
  ExclusiveAppender& operator=(const ExclusiveAppender&) = delete;
  ~ExclusiveAppender();

  /// Memory for one record's payload, 16-byte aligned when key and attributes are. kAppended means
  /// that `payload` is there to be written until commit().
  struct Reservation {
    AppendStatus status = AppendStatus::kTimeout;
    std::span<std::byte> payload;
  };
  [[nodiscard]] Reservation reserve(std::size_t payload_bytes, Deadline deadline,
                                    std::span<const std::byte> key = {});
  /// Hashes, stamps and commits everything reserved.
  /// Only deadline and await_durable of the options count.
  [[nodiscard]] AppendOutcome commit(const AppendOptions& options = {});
  /// Copies and commits, all or none; `expected_offset` and `sequence` are not looked at, nobody
  /// else appends.
  [[nodiscard]] AppendOutcome append_batch(std::span<const RecordInput> records,
                                           const AppendOptions& options);

 private:
  AppendStatus hold(std::uint32_t units, Deadline deadline);
  AppendStatus acquire_slot();
  void discard() noexcept;
  [[nodiscard]] AppendStatus standing() const noexcept;
  void finish_pending(std::uint8_t flags) noexcept;
  void spill();
  void unspill() noexcept;
  [[nodiscard]] bool lease_is_ours() const noexcept;
  [[nodiscard]] std::byte* reserved() noexcept;

  Appender base_;
  Lease lease_;
  Word held_{};
  bool holding_ = false;
  LogEnd end_{};                      ///< behind the last commit
  std::uint32_t reserved_units_ = 0;  ///< behind the committed tail
  std::uint32_t reserved_records_ = 0;
  UnixMillis timestamp_ms_ = 0;         ///< of what is reserved
  bool has_pending_ = false;            ///< the header of the last reserved record is still open
  std::uint32_t pending_at_units_ = 0;  ///< where that record begins, from the first reserved one
  RecordHeader pending_{};
  std::vector<std::byte> spill_;  ///< reserved bytes on their way to the next slot
};

}  // namespace mallbots::shm
