// limit.disk_stream: how fast the disk under test takes a stream of 1 MiB blocks, O_DIRECT, over
// blocks written before, the flush at the end included. One write at a time by pwrite, eight in
// flight by io_uring, and fio.
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "bench/harness/clock.h"
#include "bench/limits/fio.h"
#include "bench/limits/limits.h"
#include "bench/limits/ring_queue.h"
#include "bench/limits/scratch_file.h"

namespace mallbots::bench {
namespace {

constexpr std::size_t kBlock = std::size_t{1} << 20;
constexpr double kSeconds = 0.4;
constexpr unsigned kDepth = 8;

struct Stream {
  ScratchFile file;
  DirectBuffer block{kBlock};
  std::uint64_t end_ticks = 0;

  [[nodiscard]] std::uint64_t offset_of(std::uint64_t block_number) const {
    return block_number * kBlock % file.size_bytes();
  }
};

Result<void> refused(const char* what, int reason) {
  return fail(ErrorCode::kIo, fmt::format("{}: {}", what, std::strerror(reason)));
}

/// Both return the number of blocks written when the time was over.
Result<std::uint64_t> one_at_a_time(const Stream& stream) {
  std::uint64_t blocks = 0;
  while (ticks() < stream.end_ticks) {
    const auto at = static_cast<off_t>(stream.offset_of(blocks));
    if (::pwrite(stream.file.fd(), stream.block.data(), kBlock, at) !=
        static_cast<ssize_t>(kBlock)) {
      return std::unexpected(refused("pwrite", errno).error());
    }
    ++blocks;
  }
  return blocks;
}

Result<std::uint64_t> many_in_flight(const Stream& stream) {
  auto ring = RingQueue::create(kDepth);
  if (!ring) return std::unexpected(std::move(ring).error());
  std::uint64_t sent = 0;
  std::uint64_t done = 0;
  while (ticks() < stream.end_ticks || done < sent) {
    while (sent - done < kDepth && ticks() < stream.end_ticks) {
      ::io_uring_prep_write(::io_uring_get_sqe(ring->get()), stream.file.fd(), stream.block.data(),
                            kBlock, stream.offset_of(sent));
      ++sent;
    }
    if (done == sent) break;
    const int submitted = ::io_uring_submit_and_wait(ring->get(), 1);
    if (submitted < 0) return std::unexpected(refused("io_uring_submit", -submitted).error());
    io_uring_cqe* completion = nullptr;
    while (::io_uring_peek_cqe(ring->get(), &completion) == 0) {
      const int outcome = completion->res;
      ::io_uring_cqe_seen(ring->get(), completion);
      if (outcome != static_cast<int>(kBlock)) {
        return std::unexpected(refused("write by io_uring", outcome < 0 ? -outcome : EIO).error());
      }
      ++done;
    }
  }
  return done;
}

using Write = Result<std::uint64_t> (*)(const Stream&);

Measure by(Write write) {
  return [write](const RunContext& run) -> Result<Figures> {
    const std::size_t size = run.times(std::size_t{512} << 20, std::size_t{16} << 20);
    auto file = ScratchFile::create(run.scratch_dir, size);
    if (!file) return std::unexpected(std::move(file).error());
    Stream stream{.file = std::move(*file)};
    const std::uint64_t start = ticks();
    stream.end_ticks = start + ns_to_ticks((run.quick ? 0.02 : kSeconds) * 1e9);
    const auto blocks = write(stream);
    if (!blocks) return std::unexpected(blocks.error());
    if (::fdatasync(stream.file.fd()) != 0) {
      return std::unexpected(refused("fdatasync", errno).error());
    }
    const double seconds = ticks_to_ns(ticks() - start) / 1e9;
    return Figures{{"bytes", static_cast<double>(*blocks * kBlock) / seconds}};
  };
}

}  // namespace

void add_disk_stream_limit(Registry& registry) {
  registry.add(Limit{
      .name = "limit.disk_stream",
      .work = "sequential O_DIRECT writes, 1 MiB",
      .placement = "one process, not pinned",
      .probe = ProbeRule::kShownOnly,
      .unit = Unit::kBytesPerSecond,
      .lower_is_better = false,
      .main_figure = "bytes",
      .figures = {"bytes"},
      .methods = {{"pwrite, one at a time", by(one_at_a_time)},
                  {"io_uring, 8 in flight", by(many_in_flight)},
                  {"fio io_uring, 8 in flight", fio_stream}},
  });
}

}  // namespace mallbots::bench
