// Recovery of one partition: what is in its folder, where its log ends, what is damaged. A function
// of the folder through the I/O door; touches nothing else, so that partitions are recovered in
// parallel by as many threads as the caller likes. RECOVERY.md has the decision table; decide() is
// that table.
//
// A completed recover_partition() promises: every record below `end.offset` that it did not report
// as damaged is on the device (the last segment was flushed before it was read); no file was
// changed but by adding side files; whatever a predecessor's late writes still do to its files does
// not change the result of the next recovery (the side file, or the note, has fixed the end).
//
// Errors: Io, NotPermitted, WrongVersion (a segment of a newer format). Damage is no error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "broker/io/disk.h"
#include "broker/storage/durable_note.h"
#include "broker/storage/segment_info.h"
#include "shm/base/ids.h"

namespace mallbots::broker {

/// What is known of one segment file before its records are read.
struct SegmentFacts {
  enum class Header : std::uint8_t { kGood, kUnborn, kBad };
  Header header = Header::kGood;
  bool has_footer = false;  ///< a good trailer at the end of the file
  /// It ends where the named end is, or kept memory says; or the last stop was clean.
  bool footer_proven = false;
  bool has_side = false;      ///< a good side file
  bool named_as_end = false;  ///< the newest segment, or one behind it, says where this one ends
  bool is_newest = false;     ///< highest number with a readable header, of those that count
};

/// One verdict per combination.
enum class SegmentVerdict : std::uint8_t {
  kUseFooter,    ///< closed by its own broker: not read
  kUseSide,      ///< closed by an earlier recovery: not read
  kScanToEnd,    ///< the newest, not closed for certain: read, cut at the last whole batch
  kScanToNamed,  ///< not closed, but its successor says where it ends: read up to there, side file
  kHeaderFromFooter,  ///< the header block is damaged, a footer has all that it said
  kUnborn,      ///< a spare that never got its header: ignored, removed when the next one is made
  kStray,       ///< a good segment that no successor names: its broker lost it; kept, ignored
  kQuarantine,  ///< neither header nor footer: kept, its offsets are reported as damaged
};
[[nodiscard]] SegmentVerdict decide(const SegmentFacts& facts) noexcept;
[[nodiscard]] const char* verdict_name(SegmentVerdict verdict) noexcept;

/// Something a person must hear of.
struct RecoveryFinding {
  shm::SegmentNumber segment = shm::kNoSegment;
  std::string sentence;     ///< names file, byte range, reason
  Offset first_offset = 0;  ///< offsets that are lost; first == end: none
  Offset end_offset = 0;
};

struct PartitionIdentity {
  TopicId topic{};
  PartitionId partition{};
  PartitionIndex index = 0;
};

struct RecoverRequest {
  std::string folder;
  PartitionIdentity identity;
  /// Set when the memory was kept. The durable position on the board: nothing above it counts, for
  /// it may be in the page cache only.
  std::optional<Offset> cut_at;
  /// Its note, if there is one: the newest segment is then not read at all, unless it ends in what
  /// looks like a footer and the note knows nothing of.
  std::optional<NoteValue> note;
  /// The last stop was clean: a footer at the end of the newest segment is its broker's.
  bool clean = false;
};

struct RecoveredPartition {
  std::vector<SegmentInfo> segments;       ///< oldest first; offsets dense but for reported damage
  DurablePoint end;                        ///< where the next record goes
  Offset start_offset = 0;                 ///< first offset kept
  LogEpoch newest_epoch = 0;               ///< of the newest segment; 0 if there is none
  shm::SegmentNumber next_number = 1;      ///< higher than any number ever seen in the folder
  std::vector<shm::SegmentNumber> unborn;  ///< files to remove when the next segment is made
  std::vector<RecoveryFinding> findings;
  std::uint64_t scanned_bytes = 0;
};

[[nodiscard]] Result<RecoveredPartition> recover_partition(Disk& disk,
                                                           const RecoverRequest& request);

}  // namespace mallbots::broker
