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
[[nodiscard]] const char* name_of(FlushWay way) noexcept;

/// In memory that several processes may share; a way that cannot run here stays empty.
struct FlushTimes {
  std::array<Histogram, kFlushWays.size()> of_way;  ///< ticks

  /// `flush_p50` and `flush_p99` of the way with the lowest p50 (of this run: the limit that is
  /// hardest to reach), and each way's p50 by its name; none if nothing was measured.
  [[nodiscard]] Figures figures() const;
};

class BareFlush {
 public:
  /// A file of 16 MiB in `directory`, written and flushed; it goes when this does.
  [[nodiscard]] static Result<BareFlush> open(const std::filesystem::path& directory);

  BareFlush(BareFlush&&) noexcept;
  BareFlush& operator=(BareFlush&&) = delete;
  ~BareFlush();

  /// How long, or how often; whichever is over first.
  struct Length {
    double seconds = 1e9;
    std::uint64_t flushes = ~std::uint64_t{0};
  };
  /// One after the other. kUnsupported: the kernel refuses io_uring.
  [[nodiscard]] Result<void> run(FlushWay way, Length length, Histogram& times);

  /// All ways, each so long; those that cannot run here are left out.
  [[nodiscard]] Result<void> turn(Length each, FlushTimes& times);

 private:
  struct Parts;
  explicit BareFlush(std::unique_ptr<Parts> parts) noexcept;
  std::unique_ptr<Parts> parts_;
};

}  // namespace mallbots::bench
