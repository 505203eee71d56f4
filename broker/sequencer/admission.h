// Admission: how a kind of topic decides over what is handed in to one of its partitions, and adds
// to it. The event store implements it; topics of records have none.
//
// Who calls: the sequencer, from its one thread, never two calls at a time; never from another
// thread, so state that only these calls touch needs no lock. What other threads shall see of it is
// for the implementation to guard. No call may block, make a system call, throw, or take longer
// than some microseconds: every ring of the instance waits meanwhile. Memory may be allocated.
//
// For each handed-in entry, in the order of the partition:
//
//   admit() ── refused ───────────────────▶ the answer says code and value
//      │  └── answered ─────────────────────▶ the answer says value and extras; nothing is appended
//      │ accepted: records with what admit() made of them
//      ▼
//   append ── not possible (TooLarge, Conflict of the expected offset, disk full) ──▶ the answer
//      │  └── no room yet ──▶ later admit() again, of the same entry, if it was not withdrawn
//      ▼
//   appended()
//
// So admit() must change nothing that the next admit() would see; appended() does. Between an
// accepting admit() and its appended() no other call is made.
//
// After a restart of the broker: an entry whose records are in the log already, but had no answer,
// gets recalled() instead. Whatever the implementation knows it has built from the log before the
// partition is given to the sequencer.
#pragma once

#include <span>

#include "shm/base/error.h"
#include "shm/base/ids.h"
#include "shm/concurrent/encode.h"
#include "shm/layout/ingest.h"

namespace mallbots::broker {

/// One entry, copied out of its ring: nobody can change it any more. Lengths are checked, attribute
/// blocks are well formed and hold ids that clients may use. Valid during the call.
struct HandedIn {
  SessionIndex session = 0;
  std::uint64_t producer_id = 0;
  std::uint64_t scope = 0;  ///< of the ring, as the control plane allowed it (OpenRing)
  shm::IngestKind kind = shm::IngestKind::kAppend;
  std::uint64_t sequence = 0;  ///< of the first record; checked by the sequencer
  std::uint64_t expected = 0;  ///< kAppend: an offset (checked by the append), else by kind
  Offset next = kNoOffset;     ///< admit() may set it: the offset that the first record must get
  std::span<const std::uint64_t, shm::kIngestArguments> arguments;
  std::span<const std::byte> request;  ///< what the kind brings beside records, e.g. a stream's id
  /// admit() may point attributes elsewhere (its own memory, untouched until the next admit()), the
  /// key into `request`, and set type and flags. Total size with headers: at most the topic's
  /// record.max.
  std::span<shm::RecordInput> records;
};

struct Verdict {
  enum class What : std::uint8_t { kAccepted, kRefused, kAnswered };
  What what = What::kAccepted;
  ErrorCode code = ErrorCode::kNone;              ///< refused: why
  std::uint64_t value = 0;                        ///< refused or answered: for the answer
  std::uint64_t extras[shm::kIngestExtras] = {};  ///< of the answer, refused or answered

  [[nodiscard]] static Verdict accepted() noexcept { return {}; }
  [[nodiscard]] static Verdict refused(ErrorCode code, std::uint64_t value) noexcept {
    return {What::kRefused, code, value, {}};
  }
  [[nodiscard]] static Verdict answered(std::uint64_t value) noexcept {
    return {What::kAnswered, ErrorCode::kNone, value, {}};
  }
};

class Admission {
 public:
  virtual ~Admission() = default;

  /// Kinds below kFirstOfTopic that come here: kAppend only.
  [[nodiscard]] virtual Verdict admit(HandedIn& entry) = 0;
  /// The records are in the log, dense from `first` on. Fills the answer's extras.
  virtual void appended(const HandedIn& entry, Offset first, UnixMillis timestamp_ms,
                        std::span<std::uint64_t, shm::kIngestExtras> extras) = 0;
  /// As appended(), of records that the log had before; the state knows them already.
  virtual void recalled(const HandedIn& entry, Offset first,
                        std::span<std::uint64_t, shm::kIngestExtras> extras) = 0;
};

}  // namespace mallbots::broker
