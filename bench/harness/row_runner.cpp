#include "bench/harness/row_runner.h"

#include <algorithm>

#include "bench/harness/probe.h"

namespace mallbots::bench {

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

void RowRunner::top_up(Measured& measured) {
  measured.begun = true;
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

double RowRunner::near_max_ns() const noexcept {
  return options_.near_max_ns > 0 ? options_.near_max_ns : kAgreement * lowest_probe_ns_;
}

Selection RowRunner::select(const Measured& measured) const {
  const bool judged = measured.row.probe == ProbeRule::kMustBeNear && !options_.context.quick;
  std::vector<std::vector<double>> probes;
  probes.reserve(measured.runs.size());
  for (const RunRecord& run : measured.runs) {
    probes.push_back(judged ? run.probes_ns : std::vector<double>{});
  }
  return select_runs(probes, near_max_ns());
}

Result<void> RowRunner::probe(std::vector<double>& probes_ns) const {
  const RunContext& context = options_.context;
  const auto round_trip = probe_round_trip(context.cpu_a, context.cpu_b, context.quick);
  if (!round_trip) return std::unexpected(round_trip.error());
  probes_ns.push_back(*round_trip);
  return {};
}

Result<RunRecord> RowRunner::run_once(const Row& row) {
  RunRecord record;
  const LoadReading before = read_load();
  MALLBOTS_TRY(probe(record.probes_ns));
  for (const Limit* limit : registry_.limits_of(row)) {
    auto run = run_limit(*limit);
    if (!run) return std::unexpected(std::move(run).error());
    record.limits.push_back(std::move(*run));
  }
  if (row.measure) {
    if (!record.limits.empty()) MALLBOTS_TRY(probe(record.probes_ns));
    auto figures = row.measure(options_.context);
    if (!figures) return std::unexpected(std::move(figures).error());
    record.figures = std::move(*figures);
  }
  MALLBOTS_TRY(probe(record.probes_ns));
  lowest_probe_ns_ = lowest_lasting(lowest_probe_ns_, record.probes_ns);
  record.load = share_between(before, read_load());
  return record;
}

Result<LimitRun> RowRunner::run_limit(const Limit& limit) const {
  LimitRun run{.limit = &limit};
  for (const Method& method : limit.methods) {
    auto figures = method.measure(options_.context);
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
