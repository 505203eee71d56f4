#include "broker/io/flush_probe.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "broker/io/disk.h"
#include "broker/io/posix_disk.h"
#include "shm/base/clock.h"

namespace mallbots::broker {

namespace {

constexpr std::size_t kProbeRounds = 25;
constexpr BootNanos kProbeBudgetNs = 100 * kMillisecond;

/// Negative if the system refused it.
BootNanos time_of(const DurableOverwrite& overwrite, int fd, AlignedBuffer& block, std::uint64_t at,
                  FlushStyle style) {
  const BootNanos start = boot_now_ns();
  return overwrite(fd, block, at, style) == 0 ? boot_now_ns() - start : -1;
}

BootNanos median(std::vector<BootNanos> times) {
  if (times.empty()) return INT64_MAX;
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

/// A difference within the noise is no reason for a second request.
bool clearly_faster(BootNanos separate, BootNanos together) {
  return separate < together - together / 8;
}

}  // namespace

int overwrite_by_calls(int fd, AlignedBuffer& block, std::uint64_t at, FlushStyle style) {
  const iovec piece{block.data(), block.size()};
  const bool dsync = style == FlushStyle::kDsync;
  // no crash point: a file that nobody else knows
  const ssize_t n = ::pwritev2(fd, &piece, 1, static_cast<off_t>(at), dsync ? RWF_DSYNC : 0);
  if (n != static_cast<ssize_t>(block.size())) return n < 0 ? errno : EIO;
  // no crash point: a file that nobody else knows
  if (!dsync && ::fdatasync(fd) != 0) return errno;
  return 0;
}

Result<FlushStyle> measure_flush(const std::string& folder, const DurableOverwrite& overwrite) {
  auto made = make_probe_file(folder);
  if (!made) return std::unexpected(std::move(made).error());
  const int fd = made->fd();
  AlignedBuffer block{kIoAlign};
  std::vector<BootNanos> dsync;
  std::vector<BootNanos> separate;
  const BootNanos until = boot_now_ns() + kProbeBudgetNs;
  for (std::size_t round = 0; round < 2 * kProbeRounds && boot_now_ns() < until; ++round) {
    const std::uint64_t at = (round % kProbeRounds) * kIoAlign;
    const BootNanos one = time_of(overwrite, fd, block, at, FlushStyle::kDsync);
    const BootNanos two = time_of(overwrite, fd, block, at, FlushStyle::kFdatasync);
    if (one < 0) return FlushStyle::kFdatasync;
    if (two < 0) break;
    // The first pass allocates the blocks and counts only where the device is too slow for a
    // second.
    if (round == kProbeRounds) {
      dsync.clear();
      separate.clear();
    }
    dsync.push_back(one);
    separate.push_back(two);
  }
  return clearly_faster(median(separate), median(dsync)) ? FlushStyle::kFdatasync
                                                         : FlushStyle::kDsync;
}

}  // namespace mallbots::broker
