// limit.disk_flush: 4 KiB made to survive power loss, one at a time.
//
// The blocks were written before, so nothing but the data must reach the device. Two ways to ask
// (fdatasync after the write, RWF_DSYNC with it), each by plain calls and by io_uring; and fio.
#include <fmt/core.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>

#include "bench/harness/clock.h"
#include "bench/limits/fio.h"
#include "bench/limits/limits.h"
#include "bench/limits/ring_queue.h"
#include "bench/limits/scratch_file.h"

namespace mallbots::bench {
namespace {

constexpr std::size_t kRecord = 4096;
constexpr double kSeconds = 0.3;

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

using WriteOnce = std::function<Result<void>(int fd, const DirectBuffer& record, off_t at)>;

Result<Figures> flush_one_at_a_time(const RunContext& run, const WriteOnce& write_once) {
  auto file = ScratchFile::create(run.scratch_dir, std::size_t{16} << 20);
  if (!file) return std::unexpected(std::move(file).error());
  const DirectBuffer record{kRecord};
  Histogram times;
  const std::uint64_t start = ticks();
  const std::uint64_t end = start + ns_to_ticks((run.quick ? 0.02 : kSeconds) * 1e9);
  std::uint64_t before = start;
  for (std::size_t at = 0; before < end; at = (at + kRecord) % file->size_bytes()) {
    MALLBOTS_TRY(write_once(file->fd(), record, static_cast<off_t>(at)));
    const std::uint64_t now = ticks();
    times.record(now - before);
    before = now;
  }
  Figures figures = latency_figures(times);
  figures["rate"] = static_cast<double>(times.count()) / (ticks_to_ns(before - start) / 1e9);
  return figures;
}

using RingWriteOnce = Result<void> (*)(io_uring*, int, const DirectBuffer&, off_t);

Measure by_ring(RingWriteOnce write_once) {
  return [write_once](const RunContext& run) -> Result<Figures> {
    auto ring = RingQueue::create(4);
    if (!ring) return std::unexpected(std::move(ring).error());
    return flush_one_at_a_time(run, [&](int fd, const DirectBuffer& record, off_t at) {
      return write_once(ring->get(), fd, record, at);
    });
  };
}

}  // namespace

void add_disk_flush_limit(Registry& registry) {
  const auto plain = [](Result<void> (*write_once)(int, const DirectBuffer&, off_t)) -> Measure {
    return [=](const RunContext& run) { return flush_one_at_a_time(run, write_once); };
  };
  registry.add(Limit{
      .name = "limit.disk_flush",
      .work = "4 KiB overwritten and flushed, one at a time",
      .placement = "one process, not pinned",
      .probe = ProbeRule::kShownOnly,
      .main_figure = "p50",
      .figures = {"p50", "p99", "p99.9", "max", "rate"},
      .methods = {{"pwrite, fdatasync", plain(write_then_sync)},
                  {"pwritev2 RWF_DSYNC", plain(write_synced)},
                  {"io_uring, write linked to fdatasync", by_ring(ring_write_then_sync)},
                  {"io_uring, write RWF_DSYNC", by_ring(ring_write_synced)},
                  {"fio, O_DSYNC", fio_flush}},
  });
}

}  // namespace mallbots::bench
