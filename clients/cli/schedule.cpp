#include <fmt/format.h>

#include <memory>

#include "clients/admin.h"
#include "clients/cli/command.h"
#include "clients/cli/session.h"
#include "clients/cli/units.h"
#include "shm/base/clock.h"

namespace mallbots::client::cli {
namespace {

struct ScheduleOptions {
  std::string topic;
  Offset id = 0;
};

Result<ExitCode> list(const Context& context, const std::string& topic) {
  const auto connection = connect(context, "schedule list");
  if (!connection) return std::unexpected(connection.error());
  Table table{{{"ID", "id", Align::kRight},
               {"DUE", "due_ms"},
               {"IN", "in_ms", Align::kRight},
               {"TOPIC", "topic"},
               {"PARTITION", "partition", Align::kRight},
               {"SIZE", "bytes", Align::kRight}}};
  const UnixMillis now_ms = wall_now_ms();
  const auto listed = Admin{**connection}.list_delayed(topic, [&](const DelayedRecord& row) {
    table.add({offset_cell(row.id), Cell{row.due_ms, format_time(row.due_ms)},
               duration_cell(std::max<std::int64_t>(row.due_ms - now_ms, 0)),
               row.topic.empty() ? empty_cell() : text_cell(row.topic), number_cell(row.partition),
               size_cell(row.bytes)});
    return true;
  });
  if (!listed) return std::unexpected(listed.error());
  return context.show(table);
}

Result<ExitCode> cancel(const Context& context, Offset id) {
  const auto connection = connect(context, "schedule cancel");
  if (!connection) return std::unexpected(connection.error());
  const auto cancelled = Admin{**connection}.cancel_delayed(id);
  if (!cancelled) return std::unexpected(cancelled.error());
  return context.show(Json{{"id", id}}, fmt::format("cancelled {}\n", id));
}

}  // namespace

void add_schedule(CLI::App& root, Context& context) {
  CLI::App* schedule = add_command(root, "schedule", "List and cancel delayed records",
                                   "  mallbots schedule list orders\n"
                                   "  mallbots schedule cancel 17\n");
  schedule->require_subcommand(1);
  auto options = std::make_shared<ScheduleOptions>();

  CLI::App* command = add_command(*schedule, "list", "Records that are not delivered yet",
                                  "  mallbots schedule list\n"
                                  "  mallbots schedule list orders --format json\n");
  command->add_option("TOPIC", options->topic, "Of that topic only");
  set_action(command, context, [options, &context] { return list(context, options->topic); });

  command = add_command(*schedule, "cancel", "Do not deliver a record",
                        "  mallbots schedule cancel 17\n");
  command->add_option("ID", options->id, "As `schedule list` and `produce --report` show it")
      ->required();
  set_action(command, context, [options, &context] { return cancel(context, options->id); });
}

}  // namespace mallbots::client::cli
