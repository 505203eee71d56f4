// RecordWalker: goes over the records of a stretch of bytes (a run, several runs, a slot), checks
// each, and finds its way on behind damage. No I/O: whoever reads a file in pieces feeds the next
// piece when the walker says that it needs more. One thread at a time.
//
//   RecordWalker walker{{.seed = record_seed(id, epoch), .expected = base}};
//   while (true) {
//     auto step = walker.next(window);            // window = bytes from walker.byte() on
//     if (step.kind == WalkStep::kRecord) ...
//   }
#pragma once

#include <cstdint>
#include <span>

#include "shm/segment/record_check.h"

namespace mallbots::shm {

struct WalkStep {
  enum Kind : std::uint8_t {
    kRecord,  ///< `view` is a good record with the expected offset (a damaged record is one, too)
    kPad,     ///< filler; nothing to tell
    kDamage,  ///< [byte, end_byte) does not check out and cost the offsets [first, end)
    kUnwritten,  ///< zeros, and no record behind them in the (last) window: the log ends here
    kNeedMore,   ///< the window ends inside a record: come again with at least `need_bytes`
    kEnd,        ///< the window is used up
  };
  Kind kind = kEnd;
  RecordView view{};       ///< kRecord, kPad
  std::uint64_t byte = 0;  ///< where it begins, counted as WalkerStart::byte is
  std::uint64_t end_byte = 0;
  Offset first_offset = 0;  ///< kRecord, kDamage
  Offset end_offset = 0;
  RecordFault fault = RecordFault::kNone;  ///< kDamage: what was wrong with the first bytes
  std::uint64_t need_bytes = 0;
};

struct WalkerStart {
  std::uint64_t seed = 0;
  Offset expected = 0;     ///< offset of the first record
  std::uint64_t byte = 0;  ///< position of the first byte, a multiple of 16
  BodyCheck body = BodyCheck::kVerify;
};

class RecordWalker {
 public:
  explicit RecordWalker(const WalkerStart& start) noexcept : start_(start) {}

  /// Where the next record begins, and the offset it must have.
  [[nodiscard]] std::uint64_t byte() const noexcept { return start_.byte; }
  [[nodiscard]] Offset expected() const noexcept { return start_.expected; }
  /// True if the last record did not end its batch.
  [[nodiscard]] bool inside_batch() const noexcept { return inside_batch_; }

  /// The step at byte(). `window` holds the bytes from byte() on, in 16-byte aligned memory;
  /// `is_last` says that nothing follows it, so that a record that does not fit is damage, not
  /// kNeedMore. Moves on, except with kNeedMore, kUnwritten and kEnd.
  [[nodiscard]] WalkStep next(std::span<const std::byte> window, bool is_last) noexcept;

 private:
  [[nodiscard]] WalkStep damage(std::span<const std::byte> window, bool is_last,
                                const CheckedRecord& checked) noexcept;

  WalkerStart start_;
  bool inside_batch_ = false;
};

}  // namespace mallbots::shm
