// StreamAdmission: how one partition of an event topic decides over what is handed in (the
// sequencer's Admission): appends to streams, truncations, deletions, look-ups.
//
// On the sequencer's thread; the table is what other threads see. Allocates only when a batch is
// larger than any before.
//
// Refusals: Conflict (value: the actual version; extras: StreamAnswer), UnknownStream, BadPosition
// (truncation beyond the event to come; value: the actual version), BadStreamId, BadArgument (not a
// request of an event topic, or not of its form), LimitReached (versions, offsets), TooLarge
// (attributes of more than 65,535 bytes), MemoryFull (a new stream while may_grow is false).
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "broker/sequencer/admission.h"
#include "broker/streams/stream_table.h"

namespace mallbots::broker {

class StreamAdmission final : public Admission {
 public:
  explicit StreamAdmission(std::shared_ptr<StreamTable> table) noexcept
      : table_(std::move(table)) {}

  [[nodiscard]] Verdict admit(HandedIn& entry) override;
  void appended(const HandedIn& entry, Offset first, UnixMillis timestamp_ms,
                std::span<std::uint64_t, shm::kIngestExtras> extras) override;
  /// Extras 0 is 0: which version the records got stands in them.
  void recalled(const HandedIn& entry, Offset first,
                std::span<std::uint64_t, shm::kIngestExtras> extras) override;

  /// Any thread: whether streams that are not known yet may be added.
  void let_grow(bool may) noexcept { may_grow_.store(may); }

 private:
  [[nodiscard]] Verdict admit_events(HandedIn& entry, const StreamState& state);
  [[nodiscard]] Verdict admit_note(HandedIn& entry, const StreamState& state);
  [[nodiscard]] bool put_attributes(std::span<shm::RecordInput> records);

  std::shared_ptr<StreamTable> table_;
  std::atomic<bool> may_grow_{true};
  // Of the entry admitted last.
  StreamKey key_;
  StreamState next_;
  std::vector<shm::EventLinks> links_;
  std::vector<std::byte> attributes_;
};

/// BadStreamId: not 1 to 200 bytes of UTF-8 without control characters; up to 216 if it begins
/// with '$'.
[[nodiscard]] ErrorCode check_stream_id(std::string_view id) noexcept;

}  // namespace mallbots::broker
