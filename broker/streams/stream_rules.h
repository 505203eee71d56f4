// The rules of event streams: whether an append, truncation or deletion may be, what its records
// have to carry, and what the stream is afterwards. No I/O, no clock, no lock.
//
//              append                    append                 truncate
//   (none) ─────────────▶ existing ◀──────────────── deleted   existing ──▶ existing, fewer events
//                            │        (versions go on)  ▲
//                            └──────────────────────────┘ delete
//
// Expectations, in order of precedence (state: no stream, version 0 | existing at v | deleted at
// v):
//
//   any       done      | done            | done, created anew
//   none, 0   done      | Conflict        | done, created anew
//   exists    Conflict  | done            | Conflict
//   N > 0     Conflict  | done if N = v   | done if N = v, created anew
//
// A Conflict tells the truth of the moment it was decided: version and state then, records that are
// under way counted as there.
#pragma once

#include <span>

#include "broker/streams/stream_index.h"
#include "shm/base/result.h"

namespace mallbots::broker {

struct Expectation {
  shm::Expect kind = shm::Expect::kAny;
  shm::StreamVersion version = 0;  ///< with kVersion
};

/// kNone or kConflict.
[[nodiscard]] ErrorCode check_expectation(const StreamState& state,
                                          const Expectation& expectation) noexcept;

/// The state behind `links.size()` events that stand at `base`, `base` + 1, ...; fills what each
/// has to carry. LimitReached: no more versions (2^32 - 1), or offsets beyond what an index holds.
[[nodiscard]] Result<StreamState> with_events(StreamState state, Offset base,
                                              std::span<shm::EventLinks> links);

/// Events below `before` are not to be read any more. UnknownStream: there is none, or it is
/// deleted. BadPosition: `before` is beyond the event to come.
[[nodiscard]] Result<StreamState> truncated(StreamState state, shm::StreamVersion before);

/// UnknownStream: there is none, or it is deleted already.
[[nodiscard]] Result<StreamState> removed(StreamState state);

// What a record of the log says of its stream
// -----------------------------------------------------------------------------------------

struct StreamRecord {
  enum Kind : std::uint8_t { kNothing, kEvent, kTruncation, kRemoval };
  Kind kind = kNothing;
  Offset offset = 0;
  shm::EventLinks links;          ///< kEvent; else only the version that the stream had
  shm::StreamVersion before = 0;  ///< kTruncation
};
/// kNothing: no record of a stream, or not of a form that this broker writes.
[[nodiscard]] StreamRecord stream_record(const shm::RecordHeader& header,
                                         std::span<const std::byte> attributes) noexcept;

/// The state with that record, which may be in it already: records of one stream in the order of
/// their offsets, from any point on that is not behind what the state has. True if it changed.
bool apply(StreamState& state, const StreamRecord& record) noexcept;

}  // namespace mallbots::broker
