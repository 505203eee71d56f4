// LogReader: the broker reads one partition of its own, in order from any offset, wherever the
// records are: in the hot slots (first choice, no I/O) or in segment files. For what the broker
// rebuilds at a start (journals, indexes, timers, producers' sequences) and what it looks up while
// it serves (queue windows, due records).
//
// Control thread, and the single-threaded part of start-up, only. Not longer than its Partition.
// read() blocks for at most one read of a file: at most kReadBytes, unless a single record is
// larger or damage must be crossed. It reads through the page cache, whose pages recovery has
// dropped, so that what it says of a file is what the device holds.
//
// Every record is checked (header check, lengths, dense offsets, body hash) on a copy of its own:
// neither a mad producer nor a later turn of the loop changes a view. What does not check out is
// reported as lost and passed; so is what retention, or a memory topic's ring, has let go.
//
// Errors: Io, NotPermitted (files), Corrupt (the partition is in quarantine); the position stays,
// and the call may be repeated.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "broker/io/disk.h"
#include "broker/log/partition.h"
#include "shm/layout/record.h"
#include "shm/segment/walker.h"

namespace mallbots::broker {

/// kDurable: nothing that a power cut could take back. The same as kCommitted on memory topics.
enum class ReadUpTo : std::uint8_t { kCommitted, kDurable };

/// Offsets [first, end) that no record can be had for.
struct LostRange {
  Offset first = 0;
  Offset end = 0;
  bool damaged = false;  ///< false: let go by retention or by the ring of a memory topic
  friend bool operator==(const LostRange&, const LostRange&) = default;
};

/// Records and lost ranges, each ascending; between them no offset is left out. A producer's batch
/// may be spread over several of these (kLastOfBatch ends it).
struct LogBatch {
  std::vector<shm::RecordView> records;  ///< data, tombstone, control; valid until the next read()
  std::vector<LostRange> lost;
  /// There is nothing more for now. False with an empty batch: call again.
  bool at_end = false;
};

class LogReader {
 public:
  static constexpr std::size_t kReadBytes = std::size_t{1} << 20;

  LogReader(Disk& disk, const Partition& partition, ReadUpTo up_to) noexcept
      : disk_(disk), partition_(partition), up_to_(up_to) {}

  /// Cheap; forward within what was read last it costs no search.
  void seek(Offset offset) noexcept { next_ = offset; }
  [[nodiscard]] Offset next_offset() const noexcept { return next_; }
  /// `bytes`: how much to look at; for single records out of a cold segment less is faster.
  [[nodiscard]] Result<const LogBatch*> read(std::size_t bytes = kReadBytes);

 private:
  /// A stretch of record bytes, copied, and where it stands.
  struct Window {
    std::vector<std::byte> bytes;
    bool is_last = false;           ///< nothing follows in this slot or file
    Offset end_offset = kNoOffset;  ///< of a stretch that ends here for good; else not known
  };
  /// A record border at `byte`, and the offset behind it.
  struct HotPlace {
    SlotGen slot_gen = 0;
    std::uint64_t byte = 0;
    Offset offset = kNoOffset;
    Offset sought = kNoOffset;  ///< on the way there
  };
  struct ColdPlace {
    File file;
    shm::SegmentNumber number = shm::kNoSegment;
    std::uint64_t byte = 0;
    Offset offset = kNoOffset;
    Offset sought = kNoOffset;
  };

  [[nodiscard]] Offset limit() const noexcept;
  void read_hot(std::size_t bytes);
  [[nodiscard]] Result<void> read_cold(std::size_t bytes);
  [[nodiscard]] Result<void> open_cold(const SegmentInfo& segment);
  [[nodiscard]] std::size_t enough(std::size_t bytes, Offset from) const noexcept;
  template <class Place>
  [[nodiscard]] bool leads_on(const Place& place) const noexcept;
  void skip_to(Offset offset, bool damaged);
  struct Walked {
    std::uint64_t end_byte = 0;
    Offset end_offset = 0;
    std::uint64_t need_bytes = 0;  ///< not 0: nothing was found, the window must be larger
    bool stopped = false;          ///< at the limit, or at damage whose end is not known yet
  };
  [[nodiscard]] Walked walk(shm::RecordWalker walker);

  Disk& disk_;
  const Partition& partition_;
  ReadUpTo up_to_;
  Offset next_ = 0;
  Window window_;
  LogBatch batch_;
  // Where the last read() ended; they serve while next_ is not far behind them.
  std::optional<HotPlace> hot_;
  std::optional<ColdPlace> cold_;
};

}  // namespace mallbots::broker
