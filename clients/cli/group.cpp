#include <fmt/format.h>

#include <memory>

#include "clients/admin.h"
#include "clients/cli/command.h"
#include "clients/cli/offsets.h"
#include "clients/cli/session.h"
#include "shm/base/clock.h"

namespace mallbots::client::cli {
namespace {

struct GroupOptions {
  std::string group;
  std::string to;
  bool execute = false;
};
using Options = std::shared_ptr<GroupOptions>;

Result<ExitCode> list(const Context& context) {
  const auto connection = connect(context, "group list");
  if (!connection) return std::unexpected(connection.error());
  const auto groups = Admin{**connection}.list_groups();
  if (!groups) return std::unexpected(groups.error());
  Table table{{{"GROUP", "group"},
               {"MODE", "mode"},
               {"MEMBERS", "members", Align::kRight},
               {"PARTITIONS", "partitions", Align::kRight},
               {"LAG", "lag", Align::kRight}}};
  for (const GroupListing& row : *groups)
    table.add({text_cell(row.group), text_cell(row.is_queue ? "queue" : "log"),
               number_cell(row.members), number_cell(row.partitions), number_cell(row.lag)});
  return context.show(table);
}

Result<ExitCode> describe_queue(const Context& context, const std::string& group,
                                const GroupDescription& queue) {
  Table partitions{{{"TOPIC", "topic"},
                    {"PARTITION", "partition", Align::kRight},
                    {"LOW-MARK", "low_mark", Align::kRight},
                    {"LOG-END-OFFSET", "log_end_offset", Align::kRight},
                    {"LEFT", "left", Align::kRight},
                    {"IN-FLIGHT", "in_flight", Align::kRight},
                    {"WAITING", "waiting", Align::kRight},
                    {"REDELIVERIES", "redeliveries", Align::kRight},
                    {"DEAD-LETTERS", "dead_letters", Align::kRight},
                    {"OLDEST", "oldest_ms", Align::kRight}}};
  for (const GroupPartition& row : queue.partitions)
    partitions.add({text_cell(row.topic), number_cell(row.partition),
                    offset_cell(row.current_offset.value_or(kNoOffset)),
                    offset_cell(row.end_offset), number_cell(row.lag), number_cell(row.in_flight),
                    number_cell(row.waiting), number_cell(row.redeliveries),
                    number_cell(row.dead_letters), duration_cell(row.lag_time_ms)});
  Table members{{{"MEMBER", "member"},
                 {"PID", "pid", Align::kRight},
                 {"IN-FLIGHT", "in_flight", Align::kRight},
                 {"STATE", "state"}}};
  for (const QueueMemberDescription& row : queue.members)
    members.add({text_cell(row.name), number_cell(row.pid), number_cell(row.in_flight),
                 text_cell(row.is_stuck ? "stuck" : "ok")});
  return context.show(Json{{"group", printable(group)},
                           {"mode", "queue"},
                           {"partitions", partitions.json()},
                           {"members", members.json()}},
                      partitions.text(terminal_width()) + "\n" + members.text(terminal_width()));
}

Result<ExitCode> describe(const Context& context, const std::string& group) {
  const auto connection = connect(context, "group describe");
  if (!connection) return std::unexpected(connection.error());
  const auto whole = Admin{**connection}.describe_whole_group(group);
  if (!whole) return std::unexpected(whole.error());
  if (whole->is_queue) return describe_queue(context, group, *whole);
  Table table{{{"TOPIC", "topic"},
               {"PARTITION", "partition", Align::kRight},
               {"CURRENT-OFFSET", "current_offset", Align::kRight},
               {"LOG-END-OFFSET", "log_end_offset", Align::kRight},
               {"LAG", "lag", Align::kRight},
               {"LAG-TIME", "lag_time_ms", Align::kRight},
               {"MEMBER", "member"},
               {"PID", "pid", Align::kRight}}};
  for (const GroupPartition& row : whole->partitions)
    table.add({text_cell(row.topic), number_cell(row.partition),
               offset_cell(row.current_offset.value_or(kNoOffset)), offset_cell(row.end_offset),
               number_cell(row.lag), duration_cell(row.lag_time_ms),
               row.member.empty() ? empty_cell() : text_cell(row.member),
               row.pid == 0 ? empty_cell() : number_cell(row.pid)});
  return context.show(table);
}

GroupSeek group_seek(const SeekPoint& point) {
  using Kind = SeekPoint::Kind;
  using To = GroupSeek::To;
  switch (point.kind) {
    case Kind::kStart:
      return {To::kStart, 0};
    case Kind::kEnd:
      return {To::kEnd, 0};
    case Kind::kTime:
      return {To::kTime, point.value};
    case Kind::kForward:
      return {To::kForward, point.value};
    case Kind::kBackward:
      return {To::kBackward, point.value};
  }
  return {};
}

Result<ExitCode> seek(const Context& context, const GroupOptions& options) {
  const auto point = parse_seek_point(options.to, wall_now_ms());
  if (!point) return std::unexpected(point.error());
  const auto connection = connect(context, "group seek");
  if (!connection) return std::unexpected(connection.error());
  const auto moves =
      Admin{**connection}.seek_group(options.group, group_seek(*point), options.execute);
  if (!moves) return std::unexpected(moves.error());
  Table table{{{"TOPIC", "topic"},
               {"PARTITION", "partition", Align::kRight},
               {"FROM", "from_offset", Align::kRight},
               {"TO", "to_offset", Align::kRight}}};
  for (const GroupMove& move : *moves)
    table.add({text_cell(move.topic), number_cell(move.partition), offset_cell(move.from_offset),
               offset_cell(move.to_offset)});
  return context.show(
      table.json(), table.text(terminal_width()) +
                        (options.execute ? "" : "nothing is moved yet; add --execute to do it\n"));
}

Result<ExitCode> remove(const Context& context, const GroupOptions& options) {
  const auto connection = connect(context, "group delete");
  if (!connection) return std::unexpected(connection.error());
  Admin admin{**connection};
  const auto rows = admin.describe_group(options.group);
  if (!rows) return std::unexpected(rows.error());
  if (options.execute) MALLBOTS_TRY(admin.delete_group(options.group));
  const std::string name = printable(options.group);
  return context.show(
      Json{{"group", name}, {"partitions", rows->size()}, {"deleted", options.execute}},
      options.execute
          ? fmt::format("deleted {}\n", name)
          : fmt::format("would forget {} with its positions in {} partitions; add --execute to do "
                        "it\n",
                        name, rows->size()));
}

void add_name(CLI::App* command, const Options& options) {
  command->add_option("GROUP", options->group, "Name of the group")->required();
}

}  // namespace

void add_group(CLI::App& root, Context& context) {
  CLI::App* group = add_command(root, "group", "Consumer groups: positions and lag",
                                "  mallbots group list\n"
                                "  mallbots group describe billing\n");
  group->require_subcommand(1);
  auto options = std::make_shared<GroupOptions>();

  CLI::App* command = add_command(*group, "list", "All groups", "  mallbots group list\n");
  set_action(command, context, [&context] { return list(context); });

  command = add_command(*group, "describe", "Positions, lag and members of a group or a queue",
                        "  mallbots group describe billing\n");
  add_name(command, options);
  set_action(command, context, [options, &context] { return describe(context, options->group); });

  command = add_command(*group, "seek", "Move the positions of a group",
                        "  mallbots group seek billing --to start       # shows what would move\n"
                        "  mallbots group seek billing --to @-1h --execute\n"
                        "  mallbots group seek billing --to -100 --execute\n");
  add_name(command, options);
  command->add_option("--to", options->to, "start, end, @TIME, +N or -N")
      ->required()
      ->type_name("WHERE");
  command->add_flag("--execute", options->execute, "Do it; without it, only show it");
  set_action(command, context, [options, &context] { return seek(context, *options); });

  command = add_command(*group, "delete", "Forget a group and its positions",
                        "  mallbots group delete billing --execute\n");
  add_name(command, options);
  command->add_flag("--execute", options->execute, "Do it; without it, only show it");
  set_action(command, context, [options, &context] { return remove(context, *options); });
}

}  // namespace mallbots::client::cli
