// mallbots_bench: measures the rows of the budget table on this machine. See bench/README.md.
//
// Exit codes: 0 every row measured (met or not: the table says), 1 a row could not be measured, or
// with --strict was not met, 2 usage.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/harness/clock.h"
#include "bench/harness/judge.h"
#include "bench/harness/machine_sheet.h"
#include "bench/harness/report.h"
#include "bench/harness/roles.h"
#include "bench/harness/row_runner.h"
#include "bench/harness/scratch_dir.h"
#include "bench/limits/limits.h"
#include "bench/scenarios/scenarios.h"

namespace mallbots::bench {
namespace {

struct Options {
  std::vector<std::string> rows;
  std::vector<int> cpus;
  std::string scratch = "/var/tmp";
  std::size_t runs = 5;
  double near_ns = 0;
  double minutes = 15;
  bool list = false;
  bool json = false;
  bool quick = false;
  bool strict = false;
};

/// `limit` chooses limit.cache_line and all its sisters, `limit.cache_line` only that one.
bool chosen(const std::vector<std::string>& wanted, const std::string& name) {
  return wanted.empty() || std::ranges::any_of(wanted, [&](const std::string& want) {
           return name == want || name.starts_with(want + ".");
         });
}

std::vector<Measured> choose_rows(const Registry& registry, const Options& options) {
  std::vector<Measured> rows;
  for (const Limit& limit : registry.limits()) {
    if (chosen(options.rows, limit.name)) rows.push_back(Measured{.row = row_of(limit)});
  }
  for (const Row& row : registry.rows()) {
    if (chosen(options.rows, row.name)) rows.push_back(Measured{.row = row});
  }
  return rows;
}

int usage_error(const std::string& sentence) {
  fmt::print(stderr, "mallbots_bench: {}\n", sentence);
  return 2;
}

Report report_of(const std::vector<Measured>& rows, const RowRunner& runner, MachineSheet machine,
                 bool quick) {
  Report report{.machine = std::move(machine),
                .near = runner.near(),
                .scouted = runner.scouted(),
                .runs_wanted = runner.runs_wanted(),
                .quick = quick};
  for (const Measured& measured : rows) {
    Selection selection = runner.select(measured);
    RowReport judged = judge(measured, selection, runner.runs_wanted());
    report.rows.push_back(ReportedRow{&measured, std::move(selection), std::move(judged)});
  }
  return report;
}

void measure_all(std::vector<Measured>& rows, RowRunner& runner, double minutes) {
  const std::uint64_t end_ns = raw_now_ns() + static_cast<std::uint64_t>(minutes * 60e9);
  for (std::size_t i = 0; i < rows.size() && raw_now_ns() < end_ns; ++i) {
    fmt::print(stderr, "[{}/{}] {}\n", i + 1, rows.size(), rows[i].row.name);
    runner.measure(rows[i]);
  }
}

int run(const Options& options) {
  Registry registry;
  add_limits(registry);
  add_scenarios(registry);
  std::vector<Measured> rows = choose_rows(registry, options);
  if (rows.empty()) return usage_error("no row of that name; --list shows the names");
  if (options.list) {
    for (const Measured& row : rows) fmt::print("{:<24} {}\n", row.row.name, row.row.lines[0].work);
    return 0;
  }
  const std::vector<int> cpus = options.cpus.empty() ? allowed_cpus() : options.cpus;
  if (cpus.size() < 2) {
    return usage_error("two cores are needed, this process may use one; see taskset(1)");
  }
  const auto scratch = ScratchDir::create(options.scratch);
  if (!scratch) return usage_error(scratch.error().detail + "; name another with --scratch");
  const RunContext context{
      .cpu_a = cpus[0],
      .cpu_b = cpus[1],
      .quick = options.quick,
      .scratch_dir = scratch->path(),
      .bin_dir = std::filesystem::read_symlink("/proc/self/exe").parent_path(),
  };
  MachineSheet machine = read_machine(scratch->path());
  RowRunner runner{registry, RunnerOptions{context, options.runs, options.near_ns}};
  measure_all(rows, runner, options.minutes);

  const Report report = report_of(rows, runner, std::move(machine), options.quick);
  fmt::print("{}\n", options.json ? json_of(report) : text_of(report));
  const bool good = std::ranges::all_of(report.rows, [&](const ReportedRow& row) {
    return options.strict ? row.report.met() : row.report.measured();
  });
  return good ? 0 : 1;
}

}  // namespace
}  // namespace mallbots::bench

int main(int argc, char** argv) {
  mallbots::bench::Options options;
  CLI::App app{"Measures the budget table of MallBots on this machine (bench/README.md)."};
  app.add_option("--row", options.rows, "only these rows, or groups such as `limit`; also ROW=...")
      ->envname("ROW")
      ->delimiter(',');
  app.add_flag("--list", options.list, "print the names of the rows and end");
  app.add_flag("--json", options.json, "print everything as JSON, every run included");
  app.add_option("--runs", options.runs, "near runs a figure needs")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("--quick", options.quick, "tiny counts: only shows that the rows run");
  app.add_option("--cpus", options.cpus, "the two cores of pinned work, such as 0,1")
      ->delimiter(',')
      ->expected(2);
  app.add_option("--near-ns", options.near_ns,
                 "a probe above this is not near; by default it is found out what is");
  app.add_option("--scratch", options.scratch, "folder on the disk under test")
      ->capture_default_str();
  app.add_option("--minutes", options.minutes, "begin no row after so many")->capture_default_str();
  app.add_flag("--strict", options.strict, "exit 1 also when a budget is not met");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  if (options.quick) options.runs = 1;
  return mallbots::bench::run(options);
}
