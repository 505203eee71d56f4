// The journal of the delay log: what became of delayed records, where their targets must be looked
// at after a crash, and checkpoints of what is pending. broker/FORMAT.md, "Delayed records".
//
// Each entry is one control record of the internal topic `_delayed.journal`. Pure; control thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

#include "shm/base/ids.h"

namespace mallbots::broker {

inline constexpr const char* kDelayJournal = "_delayed.journal";

enum class JournalKind : std::uint32_t {
  kDelivered = 1,      ///< ids: durable in their targets
  kCancelled = 2,      ///< ids
  kUndeliverable = 3,  ///< ids: no such topic any more, or never fit to be delivered
  kLookFrom = 4,  ///< nothing is delivered to these targets below these offsets and not yet told
  kBegin = 5,     ///< of a checkpoint: the delay log is taken in up to here
  kPending = 6,
  kEnd = 7,  ///< the checkpoint that began at this offset of the journal is whole
};

/// Names a delayed record: its offset in the delay log.
using DelayId = Offset;

struct LookFrom {
  std::uint64_t topic_id = 0;
  Offset offset = 0;
  PartitionIndex partition = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(LookFrom) == 24);

struct PendingEntry {
  DelayId id = 0;
  UnixMillis due_ms = 0;
  std::uint64_t topic_id = 0;
  PartitionIndex partition = 0;
  std::uint32_t bytes = 0;  ///< of the record in the delay log
};
static_assert(sizeof(PendingEntry) == 32);

inline constexpr std::size_t kMaxJournalItems = 1000;

[[nodiscard]] std::vector<std::byte> encode_ids(JournalKind kind, std::span<const DelayId> ids);
[[nodiscard]] std::vector<std::byte> encode_look_from(std::span<const LookFrom> items);
[[nodiscard]] std::vector<std::byte> encode_pending(std::span<const PendingEntry> items);

/// Replays a journal from any of its checkpoints' begin, or from its start, on.
class JournalReplay {
 public:
  /// The payload of the control record at `at`. False: it cannot be read; it counts as absent.
  [[nodiscard]] bool add(Offset at, std::span<const std::byte> payload);

  /// What is pending of the last whole checkpoint; ascending by id.
  [[nodiscard]] std::vector<PendingEntry> pending() const;
  /// From where on the delay log is to be taken in.
  [[nodiscard]] Offset delay_position() const noexcept { return base_.position; }
  /// Of records that are to be taken in: these are not pending any more.
  [[nodiscard]] const std::unordered_set<DelayId>& settled() const noexcept { return settled_; }
  /// The last word on each target.
  [[nodiscard]] const std::vector<LookFrom>& look_from() const noexcept { return look_from_; }
  /// Of the last whole checkpoint; kNoOffset: there is none.
  [[nodiscard]] Offset checkpoint_at() const noexcept { return base_.at; }

 private:
  struct Checkpoint {
    Offset at = kNoOffset;
    Offset position = 0;
    std::vector<PendingEntry> pending;
  };
  void note(const LookFrom& item);

  Checkpoint base_;
  std::optional<Checkpoint> next_;
  std::unordered_set<DelayId> settled_;
  std::unordered_set<DelayId> settled_since_begin_;
  std::vector<LookFrom> look_from_;
};

}  // namespace mallbots::broker
