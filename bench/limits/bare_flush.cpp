#include "bench/limits/bare_flush.h"

#include <fmt/core.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "bench/harness/clock.h"
#include "bench/limits/ring_queue.h"
#include "bench/limits/scratch_file.h"

namespace mallbots::bench {
namespace {

constexpr std::size_t kRecord = 4096;
constexpr std::size_t kFileSize = std::size_t{16} << 20;

Result<void> refused(const char* what, int reason) {
  return fail(ErrorCode::kIo, fmt::format("{}: {}", what, std::strerror(reason)));
}

Result<void> write_then_sync(int fd, const DirectBuffer& record, off_t at) {
  if (::pwrite(fd, record.data(), kRecord, at) != kRecord) return refused("pwrite", errno);
  if (::fdatasync(fd) != 0) return refused("fdatasync", errno);
  return {};
}

Result<void> write_synced(int fd, const DirectBuffer& record, off_t at) {
  const iovec part{record.data(), kRecord};
  if (::pwritev2(fd, &part, 1, at, RWF_DSYNC) != kRecord) return refused("pwritev2", errno);
  return {};
}

Result<void> reap(io_uring* ring, unsigned completions) {
  for (unsigned i = 0; i < completions; ++i) {
    io_uring_cqe* done = nullptr;
    const int waited = ::io_uring_wait_cqe(ring, &done);
    if (waited < 0) return refused("io_uring_wait_cqe", -waited);
    const int outcome = done->res;
    ::io_uring_cqe_seen(ring, done);
    if (outcome < 0) return refused("write by io_uring", -outcome);
  }
  return {};
}

Result<void> ring_write_then_sync(io_uring* ring, int fd, const DirectBuffer& record, off_t at) {
  io_uring_sqe* write = ::io_uring_get_sqe(ring);
  ::io_uring_prep_write(write, fd, record.data(), kRecord, static_cast<std::uint64_t>(at));
  write->flags |= IOSQE_IO_LINK;
  ::io_uring_prep_fsync(::io_uring_get_sqe(ring), fd, IORING_FSYNC_DATASYNC);
  if (const int sent = ::io_uring_submit_and_wait(ring, 2); sent < 0) {
    return refused("io_uring_submit", -sent);
  }
  return reap(ring, 2);
}

Result<void> ring_write_synced(io_uring* ring, int fd, const DirectBuffer& record, off_t at) {
  io_uring_sqe* write = ::io_uring_get_sqe(ring);
  ::io_uring_prep_write(write, fd, record.data(), kRecord, static_cast<std::uint64_t>(at));
  write->rw_flags = RWF_DSYNC;
  if (const int sent = ::io_uring_submit_and_wait(ring, 1); sent < 0) {
    return refused("io_uring_submit", -sent);
  }
  return reap(ring, 1);
}

}  // namespace

Figures FlushTimes::figures() const {
  const Histogram* best = nullptr;
  for (const Histogram& way : of_way) {
    if (way.count() == 0) continue;
    if (best == nullptr || way.percentile(50) < best->percentile(50)) best = &way;
  }
  if (best == nullptr) return {};
  Figures figures{{"flush_p50", ticks_to_ns(best->percentile(50))},
                  {"flush_p99", ticks_to_ns(best->percentile(99))}};
  for (const FlushWay way : kFlushWays) {
    const Histogram& times = of_way[static_cast<std::size_t>(way)];
    if (times.count() != 0)
      figures[std::string{"p50 of "} + name_of(way)] = ticks_to_ns(times.percentile(50));
  }
  return figures;
}

const char* name_of(FlushWay way) noexcept {
  switch (way) {
    case FlushWay::kWriteThenSync:
      return "pwrite, fdatasync";
    case FlushWay::kWriteSynced:
      return "pwritev2 RWF_DSYNC";
    case FlushWay::kRingWriteThenSync:
      return "io_uring, write linked to fdatasync";
    case FlushWay::kRingWriteSynced:
      return "io_uring, write RWF_DSYNC";
  }
  __builtin_unreachable();
}

struct BareFlush::Parts {
  Parts(ScratchFile blocks, Result<RingQueue> queue)
      : file(std::move(blocks)), ring(std::move(queue)) {}

  ScratchFile file;
  Result<RingQueue> ring;
  DirectBuffer record{kRecord};
  std::size_t at = 0;

  Result<void> once(FlushWay way) {
    const auto to = static_cast<off_t>(at);
    at = (at + kRecord) % file.size_bytes();
    switch (way) {
      case FlushWay::kWriteThenSync:
        return write_then_sync(file.fd(), record, to);
      case FlushWay::kWriteSynced:
        return write_synced(file.fd(), record, to);
      case FlushWay::kRingWriteThenSync:
        return ring_write_then_sync(ring->get(), file.fd(), record, to);
      case FlushWay::kRingWriteSynced:
        return ring_write_synced(ring->get(), file.fd(), record, to);
    }
    __builtin_unreachable();
  }
};

BareFlush::BareFlush(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}
BareFlush::BareFlush(BareFlush&&) noexcept = default;
BareFlush::~BareFlush() = default;

Result<BareFlush> BareFlush::open(const std::filesystem::path& directory) {
  auto file = ScratchFile::create(directory, kFileSize);
  if (!file) return std::unexpected(std::move(file).error());
  return BareFlush{std::make_unique<Parts>(*std::move(file), RingQueue::create(4))};
}

Result<void> BareFlush::run(FlushWay way, Length length, Histogram& times) {
  const bool by_ring = way == FlushWay::kRingWriteThenSync || way == FlushWay::kRingWriteSynced;
  if (by_ring && !parts_->ring) return std::unexpected(parts_->ring.error());
  std::uint64_t before = ticks();
  const std::uint64_t end = before + ns_to_ticks(length.seconds * 1e9);
  for (; before < end && length.flushes != 0; --length.flushes) {
    MALLBOTS_TRY(parts_->once(way));
    const std::uint64_t now = ticks();
    times.record(now - before);
    before = now;
  }
  return {};
}

Result<void> BareFlush::turn(Length each, FlushTimes& times) {
  for (const FlushWay way : kFlushWays) {
    const auto done = run(way, each, times.of_way[static_cast<std::size_t>(way)]);
    if (!done && done.error().code != ErrorCode::kUnsupported) return done;
  }
  return {};
}

}  // namespace mallbots::bench
