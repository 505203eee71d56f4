// 4 KiB made to survive power loss, one block at a time, by a process on its own: the bare work
// under everything durable. The blocks were written before, so nothing but the data must reach the
// device.
//
// Two ways to ask (fdatasync after the write, RWF_DSYNC with it), each by plain calls and by
// io_uring. limit.disk_flush measures them one after the other; a row that appends durably takes
// BareFlush::turn() between turns of its own work, because the same disk flushes in 125 or in
// 220 us from one second to the next (docs/decisions/0018).
//
// One thread uses one BareFlush, the one that opened it: the kernel ties its ring to it.
// Errors: of ScratchFile and RingQueue; kIo when a write or a flush fails.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "bench/harness/histogram.h"
#include "bench/harness/row.h"
#include "shm/base/result.h"

namespace mallbots::bench {

enum class FlushWay : std::uint8_t {
  kWriteThenSync,
  kWriteSynced,
  kRingWriteThenSync,
  kRingWriteSynced,
};
inline constexpr std::array kFlushWays{FlushWay::kWriteThenSync, FlushWay::kWriteSynced,
                                       FlushWay::kRingWriteThenSync, FlushWay::kRingWriteSynced};

/// In memory that several processes may share; a way that cannot run here stays empty.
struct FlushTimes {
  std::array<Histogram, kFlushWays.size()> of_way;  ///< ticks

  /// `flush_p50` and `flush_p99` of the way with the lower p50; none if nothing was measured.
  [[nodiscard]] Figures figures() const;
};

class BareFlush {
 public:
  /// A file of 16 MiB in `directory`, written and flushed; it goes when this does.
  [[nodiscard]] static Result<BareFlush> open(const std::filesystem::path& directory);

  BareFlush(BareFlush&&) noexcept;
  BareFlush& operator=(BareFlush&&) = delete;
  ~BareFlush();

  /// One after the other until the time is over. kUnsupported: the kernel refuses io_uring.
  [[nodiscard]] Result<void> run(FlushWay way, double seconds, Histogram& times);

  /// `seconds` for all ways together; those that cannot run here are left out.
  [[nodiscard]] Result<void> turn(double seconds, FlushTimes& times);

 private:
  struct Parts;
  explicit BareFlush(std::unique_ptr<Parts> parts) noexcept;
  std::unique_ptr<Parts> parts_;
};

}  // namespace mallbots::bench
