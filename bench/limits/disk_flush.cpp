// limit.disk_flush: 4 KiB made to survive power loss, one at a time (bare_flush.h); and fio.
#include "bench/harness/clock.h"
#include "bench/limits/bare_flush.h"
#include "bench/limits/fio.h"
#include "bench/limits/limits.h"

namespace mallbots::bench {
namespace {

constexpr double kSeconds = 0.3;

Method by(FlushWay way) {
  const auto measure = [way](const RunContext& run) -> Result<Figures> {
    auto flush = BareFlush::open(run.scratch_dir);
    if (!flush) return std::unexpected(std::move(flush).error());
    Histogram times;
    const std::uint64_t start = ticks();
    MALLBOTS_TRY(flush->run(way, {.seconds = run.quick ? 0.02 : kSeconds}, times));
    Figures figures = latency_figures(times);
    figures["rate"] = static_cast<double>(times.count()) / (ticks_to_ns(ticks() - start) / 1e9);
    return figures;
  };
  return {name_of(way), measure};
}

}  // namespace

void add_disk_flush_limit(Registry& registry) {
  registry.add(Limit{
      .name = "limit.disk_flush",
      .work = "4 KiB overwritten and flushed, one at a time",
      .placement = "one process, not pinned",
      .probe = ProbeRule::kShownOnly,
      .main_figure = "p50",
      .figures = {"p50", "p99", "p99.9", "max", "rate"},
      .methods = {by(FlushWay::kWriteThenSync),
                  by(FlushWay::kWriteSynced),
                  by(FlushWay::kRingWriteThenSync),
                  by(FlushWay::kRingWriteSynced),
                  {"fio, O_DSYNC", fio_flush}},
  });
}

}  // namespace mallbots::bench
