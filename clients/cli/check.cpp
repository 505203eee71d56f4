#include "clients/cli/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>

#include "clients/cli/command.h"
#include "clients/cli/session.h"
#include "clients/cli/units.h"

namespace mallbots::client::cli {
namespace {

using State = Verdict::State;

std::string_view state_name(State state) {
  constexpr std::array<std::string_view, 3> kNames = {"ok", "warning", "critical"};
  return kNames[static_cast<std::size_t>(state)];
}

Result<std::optional<WorstLag>> worst_lag(Admin& admin) {
  const auto groups = admin.list_groups();
  if (!groups) return std::unexpected(groups.error());
  std::optional<WorstLag> worst;
  for (const GroupListing& group : *groups) {
    const auto rows = admin.describe_group(group.group);
    if (!rows && rows.error().code == ErrorCode::kUnknownGroup) continue;  // deleted meanwhile
    if (!rows) return std::unexpected(rows.error());
    for (const GroupPartition& row : *rows)
      if (!worst || row.lag > worst->partition.lag) worst = WorstLag{group.group, row};
  }
  return worst;
}

Result<std::vector<Verdict>> ask(const Context& context, const CheckLimits& limits) {
  const auto connection = connect(context, "check");
  if (!connection) return std::unexpected(connection.error());
  Admin admin{**connection};
  const auto status = admin.status();
  if (!status) return std::unexpected(status.error());
  std::vector<Verdict> verdicts = judge_status(*status, limits);
  if (limits.max_lag) {
    const auto worst = worst_lag(admin);
    if (!worst) return std::unexpected(worst.error());
    verdicts.push_back(judge_lag(*worst, *limits.max_lag));
  }
  return verdicts;
}

Result<ExitCode> check(const Context& context, const CheckLimits& limits) {
  auto verdicts = ask(context, limits);
  // What a monitoring system wants to hear of a broker that does not answer is a state, too.
  if (!verdicts)
    verdicts = std::vector<Verdict>{{"broker", State::kCritical, verdicts.error().sentence()}};
  Table table{{{"CHECK", "check"}, {"STATE", "state"}, {"DETAIL", "detail"}}};
  State worst = State::kOk;
  for (const Verdict& verdict : *verdicts) {
    table.add({text_cell(verdict.check), text_cell(state_name(verdict.state)),
               text_cell(verdict.detail)});
    worst = std::max(worst, verdict.state);
  }
  return context.show(table, static_cast<ExitCode>(worst));
}

}  // namespace

std::vector<Verdict> judge_status(const InstanceStatus& status, const CheckLimits& limits) {
  std::vector<Verdict> verdicts;
  const auto add = [&](std::string_view name, State state, std::string detail) {
    verdicts.push_back({std::string{name}, state, std::move(detail)});
  };
  add("broker", State::kOk,
      fmt::format("pid {}, up {}", status.broker_pid, format_duration(status.uptime_ms)));
  add("partitions", status.readonly_partitions == 0 ? State::kOk : State::kCritical,
      fmt::format("{} of {} refuse appends", status.readonly_partitions, status.partitions));
  add("damage", status.damaged_ranges == 0 ? State::kOk : State::kCritical,
      fmt::format("{} damaged ranges", status.damaged_ranges));
  add("disk", status.disk_free_bytes >= limits.min_free_bytes ? State::kOk : State::kCritical,
      fmt::format("{} free", format_size(status.disk_free_bytes)));
  // In tenths, so that no product can overflow.
  const bool tight =
      status.memory_max_bytes != 0 && status.memory_bytes / 9 > status.memory_max_bytes / 10;
  add("memory", tight ? State::kWarning : State::kOk,
      fmt::format("{} of {}", format_size(status.memory_bytes),
                  format_size(status.memory_max_bytes)));
  return verdicts;
}

Verdict judge_lag(const std::optional<WorstLag>& worst, std::uint64_t max_lag) {
  if (!worst) return {"lag", State::kOk, "no group"};
  const GroupPartition& row = worst->partition;
  return {"lag", row.lag > max_lag ? State::kWarning : State::kOk,
          fmt::format("group {} is {} records ({}) behind in {} partition {}", worst->group,
                      row.lag, format_duration(row.lag_time_ms), row.topic, row.partition)};
}

void add_check(CLI::App& root, Context& context) {
  CLI::App* command =
      add_command(root, "check", "For monitoring: exit 0 well, 1 warning, 2 critical",
                  "  mallbots check\n"
                  "  mallbots check --max-lag 10000 --min-free 5G\n");
  struct Options {
    std::optional<std::uint64_t> max_lag;
    std::string min_free;
  };
  auto options = std::make_shared<Options>();
  command->add_option("--max-lag", options->max_lag, "Unread records per partition and group")
      ->type_name("N");
  command->add_option("--min-free", options->min_free, "Room left on the data directory's disk")
      ->type_name("SIZE");
  set_action(command, context, [options, &context]() -> Result<ExitCode> {
    CheckLimits limits{options->max_lag, 0};
    if (!options->min_free.empty()) {
      const auto size = parse_size(options->min_free);
      if (!size) return std::unexpected(size.error());
      limits.min_free_bytes = *size;
    }
    return check(context, limits);
  });
}

}  // namespace mallbots::client::cli
