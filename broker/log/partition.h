// Partition: one partition as the broker serves it: hot slots, files, durable position, lease.
// Control thread only.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "broker/io/disk.h"
#include "broker/log/log_writer.h"
#include "broker/log/settings.h"
#include "broker/log/slot_ring.h"
#include "broker/storage/partition_store.h"
#include "broker/storage/retention.h"
#include "shm/layout/knock.h"

namespace mallbots::broker {

/// What a partition tells its topic's owner.
class PartitionEvents {
 public:
  /// A producer wrote bytes that do not check out: the session named in them, if any.
  virtual void bad_producer(std::uint64_t producer_id, const std::string& reason) = 0;
  /// For log and metrics.
  virtual void damaged(TopicId topic, PartitionIndex partition, const BadRecords& bad) = 0;
  virtual void health_changed(TopicId topic, PartitionIndex partition, StoreHealth health,
                              const Error& error) = 0;

 protected:
  ~PartitionEvents() = default;
};

class Partition final : private StoreListener {
 public:
  struct Parts {
    RingHost ring;
    shm::BoardHeader& topic_board;
    shm::PartitionBoard& board;
    shm::KnockLine& knock;
    PartitionEvents& events;
    shm::SessionPage* own_session = nullptr;  ///< of the broker itself, for its LogWriter
    Disk* disk = nullptr;                     ///< null: storage=memory
    SparePool* spares = nullptr;
    DurableNote* note = nullptr;
  };
  Partition(const Parts& parts, PartitionIdentity identity, TopicSettings settings,
            LogEpoch log_epoch);
  Partition(const Partition&) = delete;
  Partition& operator=(const Partition&) = delete;
  ~Partition();

  /// Begins anew behind what recovery found (nothing for a new partition). Writes the board.
  [[nodiscard]] Result<void> start(const std::string& folder, RecoveredPartition recovered);
  /// Goes on with kept memory. `recovered` was cut at the board's durable offset. Corrupt: the
  /// memory contradicts itself, and nothing of it was touched; put_in_quarantine() is what is left
  /// to do.
  [[nodiscard]] Result<void> take_over(const std::string& folder, RecoveredPartition recovered);

  /// After a Corrupt take_over(): kept as it is and not served (RECOVERY.md, section 11). Duties do
  /// nothing, appends are refused. `why` goes to whoever asks for the partition.
  void put_in_quarantine(Error why);
  [[nodiscard]] const std::optional<Error>& quarantine() const noexcept { return quarantine_; }

  /// All that is due at `now`: bases, ready slots, stalls, persisting. Cheap when nothing is.
  /// Lowers `next_look` to when it wants to be called again at the latest. Disk requests are
  /// submitted, the caller kicks.
  void duty(BootNanos now, BootNanos& next_look);
  /// True if a record was committed that is not on its way to the disk yet.
  [[nodiscard]] bool dirty() const noexcept;
  /// True if the last duty saw that it was dirty: it has asked to be called again, or a request is
  /// on its way.
  [[nodiscard]] bool is_timed() const noexcept { return dirty_since_ != 0; }
  /// For topics with sleepers that only the broker wakes: remembers how far the log goes; true if
  /// it goes further than then.
  void note_tail() noexcept { noted_tail_ = tail_mark(); }
  [[nodiscard]] bool has_moved() const noexcept { return noted_tail_ != tail_mark(); }
  /// True if somebody waits for its durable position, and a flush may move it now.
  [[nodiscard]] bool is_awaited() const noexcept {
    return (parts_.knock.durable.load() & shm::kSleeperBit) != 0 && store_ && !store_->busy() &&
           store_->health() == StoreHealth::kGood;
  }
  /// True if the open slot was sealed: the next one needs its base, and another one behind it.
  [[nodiscard]] bool is_rolled() const noexcept;
  [[nodiscard]] bool busy() const noexcept { return store_ && !store_->idle(); }

  void session_died(SessionIndex session, std::span<const std::uint32_t> producer_cells);
  /// The session was revoked, and its process may live: its lease ends.
  void session_expelled(SessionIndex session);
  [[nodiscard]] Result<shm::Lease> take_lease(SessionIndex session, bool take_over);
  [[nodiscard]] SlotRing& ring() noexcept { return ring_; }
  [[nodiscard]] SlotShare& share() noexcept { return share_; }
  [[nodiscard]] const SlotRing& ring() const noexcept { return ring_; }
  [[nodiscard]] PartitionStore* store() noexcept { return store_.get(); }
  [[nodiscard]] const PartitionStore* store() const noexcept { return store_.get(); }

  /// The broker's own producer here.
  [[nodiscard]] LogWriter& writer();
  /// The next duty() persists what is committed, whoever waits for it.
  void flush_soon() noexcept { flush_now_ = true; }

  [[nodiscard]] PartitionIndex index() const noexcept { return identity_.index; }
  [[nodiscard]] PartitionId id() const noexcept { return identity_.partition; }
  [[nodiscard]] LogEpoch log_epoch() const noexcept { return log_epoch_; }
  [[nodiscard]] Offset start_offset() const noexcept;
  /// In quarantine nobody knows it: the durable offset of the board.
  [[nodiscard]] Offset end_offset() const noexcept;
  /// end_offset() on memory topics.
  [[nodiscard]] Offset durable_offset() const noexcept;
  [[nodiscard]] Result<shm::FindSegmentReply> find_segment(Offset offset, shm::UniqueFd& fd) const;
  /// First offset at or after the time; the end if there is none. Looks at files and memory.
  [[nodiscard]] Result<Offset> find_time(UnixMillis time_ms) const;
  /// Where in the slots the record at `offset` is, or will be; `offset` is in memory.
  [[nodiscard]] PersistCursor cursor_at(Offset offset) const;
  /// Stamp of the first record at or behind `offset` (for lag in seconds); nothing at the end.
  [[nodiscard]] std::optional<UnixMillis> time_of(Offset offset) const;
  /// Drops what retention lets go. True if something went.
  /// `consumed`: below it every group is done; nothing: that says nothing.
  bool retain(const TopicSettings& settings, UnixMillis now_ms, bool age_may_delete,
              std::optional<Offset> consumed = std::nullopt);
  /// retain() leaves what lies at or above `offset`, until this is called again.
  void keep_from(Offset offset) noexcept { keep_from_ = offset; }
  /// So far the last retain() would have gone but for keep_from().
  [[nodiscard]] Offset retention_due() const noexcept { return retention_due_; }
  /// Drops the closed segments that hold nothing at or behind `offset`, but for the newest. True if
  /// one went.
  bool drop_before(Offset offset);
  /// What may be altered holds from now on, segment.bytes from the next segment on.
  void alter(const TopicSettings& settings);
  /// Refuses appends, e.g. while the disk is full; kNone allows them again.
  void set_readonly(ErrorCode code);
  /// Why appends are refused; kNone: they are not.
  [[nodiscard]] ErrorCode readonly() const noexcept {
    return asked_readonly_ != ErrorCode::kNone ? asked_readonly_ : store_readonly_;
  }

  /// Drain: seals everything, persists it, closes the segment. True when done.
  [[nodiscard]] bool drain(bool patient, BootNanos& next_look);
  /// The topic is gone or the board closed: wakes everybody who sleeps on this partition.
  void wake_all();

 private:
  void durable_moved(PartitionStore& store) override;
  void bad_records(PartitionStore& store, const BadRecords& bad, bool sealed) override;
  void health_changed(PartitionStore& store, StoreHealth health, const Error& error) override;
  void persist_due(BootNanos now, BootNanos& next_look);
  void persist();
  void check_ahead();
  [[nodiscard]] std::size_t find_ranges(std::span<CommittedRange> ranges) const;
  [[nodiscard]] bool may_retire(SlotGen slot_gen) const noexcept;
  void publish_positions();
  bool end_lease(SessionIndex session);
  [[nodiscard]] std::uint64_t tail_mark() const noexcept;

  Parts parts_;
  PartitionIdentity identity_;
  TopicSettings settings_;
  LogEpoch log_epoch_;
  SlotShare share_;  ///< used if the topic is sequenced
  SlotRing ring_;
  std::unique_ptr<PartitionStore> store_;
  std::unique_ptr<LogWriter> writer_;
  BootNanos dirty_since_ = 0;  ///< 0: clean
  bool flush_now_ = false;
  std::uint64_t noted_tail_ = 0;
  Offset keep_from_ = kNoOffset;
  Offset retention_due_ = 0;
  ErrorCode asked_readonly_ = ErrorCode::kNone;  ///< by set_readonly
  ErrorCode store_readonly_ = ErrorCode::kNone;  ///< by the store
  std::optional<Error> quarantine_;
};

}  // namespace mallbots::broker
