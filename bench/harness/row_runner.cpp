#include "bench/harness/row_runner.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "bench/harness/clock.h"
#include "bench/harness/probe.h"

namespace mallbots::bench {
namespace {

constexpr int kLooks = 60;
constexpr int kAttempts = 5;  ///< at a part that is cut in slices

/// Of all parts the least. A part that is not cut in slices leaves the run to its probes, unless
/// another part was seldom near.
std::optional<double> near_share_of(const Row& row, const RunRecord& record) {
  std::vector<const Figures*> parts;
  if (row.measure) parts.push_back(&record.figures);
  for (const LimitRun& limit : record.limits)
    for (const MethodRun& method : limit.methods)
      if (method.skipped.empty()) parts.push_back(&method.figures);
  double least = 1;
  bool any_uncut = parts.empty();
  for (const Figures* figures : parts) {
    const auto share = figures->find(kNearShare);
    any_uncut = any_uncut || share == figures->end();
    if (share != figures->end()) least = std::min(least, share->second);
  }
  return any_uncut && least >= kSeldom ? std::nullopt : std::optional{least};
}

}  // namespace

Row row_of(const Limit& limit) {
  Row row{.name = limit.name, .placement = limit.placement, .probe = limit.probe};
  for (const std::string& figure : limit.figures) {
    const bool is_rate = figure == "rate" || figure == "bytes";
    const Unit unit = figure == limit.main_figure ? limit.unit
                      : figure == "bytes"         ? Unit::kBytesPerSecond
                      : is_rate                   ? Unit::kPerSecond
                                                  : Unit::kNs;
    row.lines.push_back(Line{.work = limit.work + (is_rate ? "" : " " + figure),
                             .unit = unit,
                             .limit = {LimitTerm{limit.name, figure}}});
  }
  return row;
}

void RowRunner::measure(Measured& measured) {
  measured.begun = true;
  if (is_judged(measured.row) && near_.max_ns == 0) {
    if (auto scouted = scout(); !scouted) measured.failure = std::move(scouted).error();
  }
  while (!measured.failure) {
    const Selection selection = select(measured);
    if (selection.kept >= options_.runs || selection.left_out > options_.runs) return;
    auto record = run_once(measured.row);
    if (record) {
      measured.runs.push_back(std::move(*record));
    } else {
      measured.failure = std::move(record).error();
    }
  }
}

bool RowRunner::is_judged(const Row& row) const noexcept {
  return row.probe == ProbeRule::kMustBeNear && !options_.context.quick;
}

Selection RowRunner::select(const Measured& measured) const {
  std::vector<Seen> runs;
  runs.reserve(measured.runs.size());
  for (const RunRecord& run : measured.runs)
    runs.push_back(is_judged(measured.row) ? run.seen : Seen{});
  return select_runs(runs, near_);
}

Result<double> RowRunner::probe() const {
  if (options_.probe) return options_.probe();
  const RunContext& context = options_.context;
  return probe_round_trip(context.cpu_a, context.cpu_b, context.quick);
}

Result<void> RowRunner::scout() {
  if (options_.near_max_ns > 0) {
    near_ = {0, options_.near_max_ns};
    return {};
  }
  fmt::print(stderr, "{} looks at how far apart the cores are\n", kLooks);
  std::vector<double> probes_ns;
  for (int look = 0; look < kLooks; ++look) {
    const auto round_trip = probe();
    if (!round_trip) return std::unexpected(round_trip.error());
    probes_ns.push_back(*round_trip);
    // A placement stays for a second or two: looks without a pause would see one or two of them.
    std::this_thread::sleep_for(std::chrono::duration<double>{options_.between_looks_s});
  }
  near_ = near_range_of(probes_ns);
  scouted_ = spread_of(std::move(probes_ns));
  return {};
}

/// The first probe of a run: the cores come back within seconds, or not soon.
Result<double> RowRunner::wait_for_near() const {
  const std::uint64_t end_ns =
      raw_now_ns() + static_cast<std::uint64_t>(options_.longest_wait_s * 1e9);
  for (;;) {
    auto round_trip = probe();
    if (!round_trip || near_.holds(*round_trip) || raw_now_ns() >= end_ns) return round_trip;
  }
}

/// A part that is cut in slices is shorter than the cores stay: one that fell into a stay elsewhere
/// is played again when they are back.
Result<Figures> RowRunner::play(const Measure& measure, const RunContext& context) const {
  for (int attempt = 1;; ++attempt) {
    auto figures = measure(context);
    if (!figures || attempt == kAttempts) return figures;
    const auto share = figures->find(kNearShare);
    if (share == figures->end() || share->second >= kSeldom) return figures;
    const auto seen = wait_for_near();
    if (!seen) return std::unexpected(seen.error());
  }
}

Result<RunRecord> RowRunner::run_once(const Row& row) const {
  RunRecord record;
  const auto add_probe = [&](const Result<double>& round_trip) -> Result<void> {
    if (!round_trip) return std::unexpected(round_trip.error());
    record.seen.probes_ns.push_back(*round_trip);
    return {};
  };
  RunContext context = options_.context;
  if (is_judged(row)) context.near = near_;
  MALLBOTS_TRY(add_probe(is_judged(row) ? wait_for_near() : probe()));
  const LoadReading before = read_load();
  for (const Limit* limit : registry_.limits_of(row)) {
    auto run = run_limit(*limit, context);
    if (!run) return std::unexpected(std::move(run).error());
    record.limits.push_back(std::move(*run));
  }
  if (row.measure) {
    if (!record.limits.empty()) MALLBOTS_TRY(add_probe(probe()));
    auto figures = play(row.measure, context);
    if (!figures) return std::unexpected(std::move(figures).error());
    record.figures = std::move(*figures);
  }
  MALLBOTS_TRY(add_probe(probe()));
  record.seen.near_share = near_share_of(row, record);
  record.load = share_between(before, read_load());
  return record;
}

Result<LimitRun> RowRunner::run_limit(const Limit& limit, const RunContext& context) const {
  LimitRun run{.limit = &limit};
  for (const Method& method : limit.methods) {
    auto figures = play(method.measure, context);
    if (figures) {
      run.methods.push_back(MethodRun{.method = method.name, .figures = std::move(*figures)});
    } else if (figures.error().code == ErrorCode::kUnsupported) {
      run.methods.push_back(MethodRun{.method = method.name, .skipped = figures.error().detail});
    } else {
      Error error = std::move(figures).error();
      error.detail = limit.name + ", " + method.name + ": " + error.detail;
      return std::unexpected(std::move(error));
    }
  }
  return run;
}

}  // namespace mallbots::bench
