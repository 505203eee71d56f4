// Schedule: delayed records, from the delay log into their targets when they are due.
//
//   client ──append──▶ _delayed ──durable──▶ pending ──due──▶ target ──durable──▶ journal:
//   delivered
//                                               └── cancel ──▶ journal: cancelled
//
// A record is named by its offset in the delay log (DelayId). It is taken in when it is durable
// there, so an id never names another record later. When the wall clock has reached its due time,
// it is appended to its target with that offset as attribute kSourceOffset, by the broker's own
// producer; when that is durable, the journal says so. After a crash the targets are looked through
// from where the journal says (always durable before the first delivery behind it) for what was
// delivered and not told: so each is delivered exactly once, whatever dies when
// (broker/RECOVERY.md, "Delayed records").
//
// Due times are wall times. When the wall clock jumps ahead, what has become due is delivered at
// once; when it jumps back, records wait for their time to come again. What was delivered is known
// by its id, not by a time, so no jump delivers anything twice or drops it.
//
// Control thread. What is pending is in memory, about 120 bytes each, `pending_max` at most: beyond
// it the delay log refuses appends (LimitReached), and what it already holds waits on the disk.
// Nothing here blocks, but start() and open() (they read and write files), reads of cold records,
// and what list(), find() and cancel() read of the delay log to catch up with it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "broker/log/log_reader.h"
#include "broker/log/topics.h"
#include "broker/schedule/schedule_journal.h"
#include "shm/layout/delayed.h"

namespace mallbots::broker {

struct ScheduleOptions {
  std::int64_t delay_max_ms = 366LL * 86'400'000;
  std::uint64_t pending_max = 1'000'000;
  /// A checkpoint is due after so many changes and two for each pending record.
  std::uint64_t checkpoint_changes = 65'536;
};

struct ScheduleCounters {
  std::uint64_t delivered = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t undeliverable = 0;
};

/// For `schedule list`.
struct ScheduleRow {
  DelayId id = 0;
  UnixMillis due_ms = 0;
  TopicId topic{};
  PartitionIndex partition = 0;
  std::uint32_t bytes = 0;
};

class Schedule {
 public:
  struct Parts {
    Disk& disk;
    Topics& topics;
    /// A sentence for the log: something is not as it should be.
    std::function<void(const std::string&)> say;
  };
  Schedule(Parts parts, ScheduleOptions options) : parts_(std::move(parts)), options_(options) {}

  /// After Topics::start. Errors: Io, and those of Topics::internal.
  [[nodiscard]] Result<void> start();
  /// Makes the delay log, if it is not there: before the first client may append to it.
  [[nodiscard]] Result<Topic*> open();

  /// One turn: takes in, delivers, tells the journal. The boot time by which to be called again;
  /// INT64_MAX if only an event can bring work. Before Topics::duty, which then writes it.
  [[nodiscard]] BootNanos duty(BootNanos now);

  /// Not delivered, from now on and after any restart once journal offset *result is durable
  /// (is_durable). Errors: UnknownDelayed; Timeout (the journal has no room: try again).
  [[nodiscard]] Result<Offset> cancel(DelayId id);
  [[nodiscard]] bool is_durable(Offset journal_offset) const;
  /// Up to `count` rows with ids after `after` (kNoOffset: from the first), ascending. Whatever was
  /// durable in the delay log before is among them, or was delivered, cancelled or undeliverable.
  [[nodiscard]] std::vector<ScheduleRow> list(DelayId after, std::size_t count);

  /// Nothing: no such record is pending.
  [[nodiscard]] std::optional<ScheduleRow> find(DelayId id);

  [[nodiscard]] const ScheduleOptions& options() const noexcept { return options_; }
  [[nodiscard]] const ScheduleCounters& counters() const noexcept { return counters_; }
  [[nodiscard]] std::size_t pending() const noexcept { return timers_.size(); }
  /// How long ago the oldest record that is due and not delivered was due; 0: none is.
  [[nodiscard]] std::int64_t overdue_ms(UnixMillis wall_ms) const;

 private:
  enum class State : std::uint8_t { kPending, kDue, kFlying, kSettled };
  using TargetKey = std::pair<TopicId, PartitionIndex>;
  struct Timer {
    UnixMillis due_ms = 0;
    TargetKey target;
    std::uint32_t bytes = 0;
    State state = State::kPending;
  };
  struct Flying {
    Offset at = 0;  ///< in the target
    DelayId id = 0;
  };
  struct Target {
    std::deque<DelayId> due;       ///< in the order in which they became due
    std::deque<Flying> flying;     ///< delivered, not durable yet; ascending by offset
    Offset look_from = kNoOffset;  ///< of a target in quarantine: as the predecessor noted it
    Offset noted_at = kNoOffset;   ///< in the journal; kNoOffset: this broker has not said it yet
    BootNanos retry_at = 0;
    std::uint64_t pending = 0;  ///< timers of it
  };
  enum class Step : std::uint8_t { kDone, kLater };

  // schedule_start.cpp
  [[nodiscard]] Result<void> read_journal();
  [[nodiscard]] Result<void> look_through(const LookFrom& from);
  void attach_topics();

  [[nodiscard]] Partition& journal() const { return journal_->partition(0); }
  [[nodiscard]] Partition& delayed() const { return delayed_->partition(0); }
  void take_in(BootNanos now, BootNanos& next_look);
  void catch_up();
  void take(const shm::RecordView& view);
  [[nodiscard]] const char* unfit(const shm::RecordView& view,
                                  const shm::DelayTarget& target) const;
  void add_timer(DelayId id, const Timer& timer);
  void hold_back();
  void settle_durable();
  void settle(DelayId id, JournalKind kind);
  void forget(DelayId id);
  void write_settled(BootNanos now, BootNanos& next_look);
  void make_due(UnixMillis wall_ms);
  void deliver(BootNanos now, BootNanos& next_look);
  [[nodiscard]] Step deliver_one(const TargetKey& key, Target& target, BootNanos now);
  [[nodiscard]] bool is_noted(const TargetKey& key, Target& target);
  [[nodiscard]] Result<const shm::RecordView*> find_record(DelayId id);
  [[nodiscard]] std::optional<Offset> note(const TargetKey& key, Target& target, bool flush);
  void move_notes(BootNanos now);
  void checkpoint(BootNanos now, BootNanos& next_look);
  [[nodiscard]] std::optional<Offset> write(std::span<const std::byte> payload, bool flush = false);

  Parts parts_;
  ScheduleOptions options_;
  ScheduleCounters counters_;
  Topic* delayed_ = nullptr;  ///< never deleted
  Topic* journal_ = nullptr;
  std::optional<LogReader> intake_;
  std::optional<LogReader> lookup_;

  std::map<DelayId, Timer> timers_;  ///< until the journal says what became of them
  using Moment = std::pair<UnixMillis, DelayId>;
  std::priority_queue<Moment, std::vector<Moment>, std::greater<>> moments_;
  std::map<TargetKey, Target> targets_;
  std::set<TargetKey> busy_;                             ///< with something due or flying
  std::map<JournalKind, std::vector<DelayId>> settled_;  ///< to be told to the journal
  // Of the time before this broker: known before their records are taken in.
  std::unordered_set<DelayId> settled_before_;
  std::unordered_map<DelayId, std::pair<TargetKey, Offset>> delivered_before_;
  std::vector<std::byte> attributes_;

  struct Checkpoint {
    Offset begin = 0;
    Offset position = 0;
    DelayId next = 0;
    Offset end = kNoOffset;  ///< where kEnd stands
  };
  std::optional<Checkpoint> checkpoint_;
  std::uint64_t changes_ = 0;  ///< since the last checkpoint began
  BootNanos notes_moved_ = 0;
  bool held_back_ = false;
};

}  // namespace mallbots::broker
