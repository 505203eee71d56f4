#include "bench/harness/report.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

namespace mallbots::bench {
namespace {

using nlohmann::json;

struct Scale {
  double factor;
  const char* suffix;
};

std::string scaled(double value, std::initializer_list<Scale> scales) {
  for (const Scale& scale : scales) {
    if (value < scale.factor && &scale != scales.end() - 1) continue;
    const double shown = value / scale.factor;
    const int digits = shown < 10 ? 2 : shown < 100 ? 1 : 0;
    return fmt::format("{:.{}f} {}", shown, digits, scale.suffix);
  }
  return {};
}

std::string figure_text(const Spread& spread, Unit unit) {
  if (spread.runs == 0) return "-";
  if (spread.runs == 1) return quantity(spread.median, unit);
  return fmt::format("{} [{} .. {}]", quantity(spread.median, unit), quantity(spread.min, unit),
                     quantity(spread.max, unit));
}

std::string ratio_text(const Spread& spread) {
  if (spread.runs == 0) return "-";
  return fmt::format("{:.2f} x [{:.2f} .. {:.2f}]", spread.median, spread.min, spread.max);
}

std::string budget_text(const Line& line) {
  switch (line.bound) {
    case Bound::kNone:
      return "-";
    case Bound::kRatioAtMost:
      return fmt::format("<= {:g} x", line.budget);
    case Bound::kRatioAtLeast:
      return fmt::format(">= {:g} x", line.budget);
    case Bound::kAtMost:
      return "<= " + quantity(line.budget, line.unit);
    case Bound::kAtLeast:
      break;
  }
  return ">= " + quantity(line.budget, line.unit);
}

using Cells = std::array<std::string, 6>;

std::vector<Cells> table_cells(const Report& report) {
  std::vector<Cells> table{{"work", "figure (median of runs)", "limit", "ratio", "budget", ""}};
  for (const ReportedRow& row : report.rows) {
    for (const LineReport& line : row.report.lines) {
      table.push_back({line.line.work, figure_text(line.figure, line.line.unit),
                       line.limit.runs == 0 ? "-" : quantity(line.limit.median, line.line.unit),
                       ratio_text(line.ratio), budget_text(line.line),
                       std::string{name_of(line.verdict)}});
    }
  }
  return table;
}

std::string seen_text(const Seen& run) {
  std::vector<std::string> texts;
  texts.reserve(run.probes_ns.size());
  for (const double probe : run.probes_ns) texts.push_back(fmt::format("{:.0f}", probe));
  const std::string probes = fmt::format("probes {} ns", fmt::join(texts, " "));
  if (!run.near_share) return probes;
  return fmt::format("{:.0f} % of its slices near; {}", *run.near_share * 100, probes);
}

/// `12 budgets: 9 met, 2 not met, 1 left out`, over all lines that have one.
std::string summary_text(const Report& report) {
  std::map<std::string_view, int> counts;
  int budgets = 0;
  for (const ReportedRow& row : report.rows) {
    for (const LineReport& line : row.report.lines) {
      if (line.line.bound == Bound::kNone) continue;
      ++budgets;
      ++counts[name_of(line.verdict)];
    }
  }
  std::string text = fmt::format("\n{} budgets", budgets);
  const char* separator = ": ";
  for (const auto& [verdict, count] : counts) {
    text += fmt::format("{}{} {}", std::exchange(separator, ", "), count, verdict);
  }
  return text;
}

/// Other work on the machine while the runs that count were measured, when it was more than noise.
std::string disturbance_text(const ReportedRow& row) {
  constexpr double kNoise = 0.1;
  LoadShare sum;
  for (std::size_t i = 0; i < row.selection.placements.size(); ++i) {
    if (row.selection.placements[i] != Placement::kNear) continue;
    sum.others += row.measured->runs[i].load.others;
    sum.stolen += row.measured->runs[i].load.stolen;
  }
  const auto runs = static_cast<double>(std::max<std::size_t>(row.selection.kept, 1));
  std::string text;
  const auto add = [&](const char* who, double share) {
    if (share <= kNoise) return;
    text += fmt::format("; DISTURBED: {} took {:.1f} cores", who, share);
  };
  add("other work", sum.others / runs);
  add("the host", sum.stolen / runs);
  return text;
}

/// What stands below the lines of a row: who ran where, which runs count, which do not and why.
std::string notes_text(const ReportedRow& row) {
  const Measured& measured = *row.measured;
  std::string text = fmt::format("    {}: {}", measured.row.name, measured.row.placement);
  if (measured.begun && !measured.failure) {
    text += fmt::format("; {} of {} runs count", row.selection.kept, measured.runs.size());
  }
  text += disturbance_text(row);
  if (!measured.row.peer.empty()) text += "; best other: " + measured.row.peer;
  text += "\n";
  if (measured.failure) text += fmt::format("      failed: {}\n", measured.failure->detail);
  for (std::size_t i = 0; i < row.selection.placements.size(); ++i) {
    if (row.selection.placements[i] == Placement::kNear) continue;
    text += fmt::format("      left out: run {}, {} ({})\n", i + 1,
                        name_of(row.selection.placements[i]), seen_text(measured.runs[i].seen));
  }
  if (measured.row.measure) return text;  // methods are shown with the limits' own rows
  for (const MethodReport& method : row.report.methods) {
    text += fmt::format("      {} {}: {}\n", method.counted ? "counts:" : "beside:", method.method,
                        method.skipped.empty() ? figure_text(method.main_figure, method.unit)
                                               : "skipped, " + method.skipped);
  }
  return text;
}

json spread_json(const Spread& spread) {
  if (spread.runs == 0) return nullptr;
  return json{
      {"median", spread.median}, {"min", spread.min}, {"max", spread.max}, {"runs", spread.runs}};
}

json line_json(const LineReport& line) {
  return json{{"work", line.line.work},
              {"figure", line.line.figure},
              {"value", spread_json(line.figure)},
              {"limit", spread_json(line.limit)},
              {"ratio", spread_json(line.ratio)},
              {"budget", budget_text(line.line)},
              {"verdict", name_of(line.verdict)}};
}

json run_json(const RunRecord& run, Placement placement, ProbeRule rule) {
  json limits = json::object();
  for (const LimitRun& limit : run.limits) {
    for (const MethodRun& method : limit.methods) {
      limits[limit.limit->name][method.method] =
          method.skipped.empty() ? json(method.figures) : json{{"skipped", method.skipped}};
    }
  }
  return json{{"placement", rule == ProbeRule::kShownOnly ? "not judged" : name_of(placement)},
              {"counts", placement == Placement::kNear},
              {"probes_ns", run.seen.probes_ns},
              {"near_share", run.seen.near_share ? json(*run.seen.near_share) : json(nullptr)},
              {"other_load_cores", run.load.others},
              {"stolen_cores", run.load.stolen},
              {"figures", run.figures},
              {"limits", limits}};
}

json row_json(const ReportedRow& row) {
  const Measured& measured = *row.measured;
  json result{{"row", measured.row.name},
              {"placement", measured.row.placement},
              {"best_other", measured.row.peer},
              {"lines", json::array()},
              {"runs", json::array()}};
  if (measured.failure) result["failure"] = measured.failure->detail;
  for (const LineReport& line : row.report.lines) result["lines"].push_back(line_json(line));
  for (std::size_t i = 0; i < measured.runs.size(); ++i) {
    result["runs"].push_back(
        run_json(measured.runs[i], row.selection.placements[i], measured.row.probe));
  }
  return result;
}

std::string placement_text(const Report& report) {
  const Spread& seen = report.scouted;
  const std::string counts = fmt::format("a run counts when its probes are {:.0f} to {:.0f} ns",
                                         report.near.min_ns, report.near.max_ns);
  if (report.near.max_ns == 0) return "every run counts: no row asked for the placement";
  if (seen.runs == 0) return counts + " (set by hand)";
  return fmt::format("{} ({} looks: lowest {:.0f}, median {:.0f}, highest {:.0f})", counts,
                     seen.runs, seen.min, seen.median, seen.max);
}

}  // namespace

std::string quantity(double value, Unit unit) {
  switch (unit) {
    case Unit::kNs:
      return scaled(value, {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}});
    case Unit::kPerSecond:
      return scaled(value, {{1e6, "M/s"}, {1e3, "k/s"}, {1, "/s"}});
    case Unit::kBytesPerSecond:
      return scaled(value, {{1e9, "GB/s"}, {1e6, "MB/s"}, {1e3, "kB/s"}, {1, "B/s"}});
    case Unit::kBytes:
      return scaled(value, {{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}, {1, "B"}});
    case Unit::kPercent:
      return fmt::format("{:.2f} %", value);
    case Unit::kCount:
      break;
  }
  return fmt::format("{:g}", value);
}

std::string text_of(const Report& report) {
  std::string text;
  for (const auto& [name, value] : report.machine.facts)
    text += fmt::format("{:<16} {}\n", name, value);
  text += fmt::format("{:<16} {}\n", "near/far probe", placement_text(report));
  for (const std::string& warning : report.machine.warnings) text += "WARNING: " + warning + "\n";
  if (report.quick)
    text += "WARNING: --quick: too few repetitions for any figure to mean anything\n";
  text += "\n";

  const std::vector<Cells> table = table_cells(report);
  std::array<std::size_t, 6> widths{};
  for (const Cells& cells : table) {
    for (std::size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], cells[i].size());
  }
  const auto print = [&](const Cells& cells) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      line += fmt::format("{:<{}}", cells[i], widths[i] + 2);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  print(table.front());
  std::size_t next = 1;
  for (const ReportedRow& row : report.rows) {
    for (std::size_t i = 0; i < row.report.lines.size(); ++i) print(table[next++]);
    text += notes_text(row);
  }
  return text + summary_text(report);
}

std::string json_of(const Report& report) {
  json machine = json::object();
  for (const auto& [name, value] : report.machine.facts) machine[name] = value;
  json result{{"machine", machine},
              {"warnings", report.machine.warnings},
              {"quick", report.quick},
              {"runs_wanted", report.runs_wanted},
              {"scouted_ns",
               {{"looks", report.scouted.runs},
                {"lowest", report.scouted.min},
                {"median", report.scouted.median},
                {"highest", report.scouted.max}}},
              {"near_min_ns", report.near.min_ns},
              {"near_max_ns", report.near.max_ns},
              {"rows", json::array()}};
  for (const ReportedRow& row : report.rows) result["rows"].push_back(row_json(row));
  return result.dump(2);
}

}  // namespace mallbots::bench
