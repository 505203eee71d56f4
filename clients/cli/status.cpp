#include <fmt/format.h>
#include <pwd.h>

#include <memory>

#include "clients/admin.h"
#include "clients/cli/command.h"
#include "clients/cli/session.h"

namespace mallbots::client::cli {
namespace {

Result<ExitCode> status(const Context& context) {
  const auto connection = connect(context, "status");
  if (!connection) return std::unexpected(connection.error());
  const auto status = Admin{**connection}.status();
  if (!status) return std::unexpected(status.error());
  const InstanceStatus& s = *status;
  Facts facts;
  facts.add("instance", "instance", text_cell(context.instance));
  facts.add("version", "version", text_cell(s.version));
  facts.add("keeper pid", "keeper_pid", number_cell(s.keeper_pid));
  facts.add("broker pid", "broker_pid", number_cell(s.broker_pid));
  facts.add("incarnation", "incarnation", number_cell(s.incarnation));
  facts.add("log epoch", "log_epoch", number_cell(s.log_epoch));
  facts.add("uptime", "uptime_ms", duration_cell(s.uptime_ms));
  facts.add("topics", "topics", number_cell(s.topics));
  facts.add("partitions", "partitions", number_cell(s.partitions));
  facts.add("sessions", "sessions", number_cell(s.sessions));
  facts.add("groups", "groups", number_cell(s.groups));
  facts.add("memory", "memory_bytes", size_cell(s.memory_bytes));
  facts.add("memory.max", "memory_max_bytes", size_cell(s.memory_max_bytes));
  facts.add("orphaned memory", "orphan_bytes", size_cell(s.orphan_bytes));
  facts.add("disk", "disk_bytes", size_cell(s.disk_bytes));
  facts.add("disk free", "disk_free_bytes", size_cell(s.disk_free_bytes));
  facts.add("disk I/O", "io_engine", text_cell(s.io_engine));
  facts.add("data directory", "data_dir", text_cell(s.data_dir));
  facts.add("damaged ranges", "damaged_ranges", number_cell(s.damaged_ranges));
  facts.add("read-only partitions", "readonly_partitions", number_cell(s.readonly_partitions));
  return context.show(facts);
}

std::string user_name(std::uint32_t uid) {
  const passwd* user = getpwuid(uid);
  return user == nullptr ? fmt::format("{}", uid) : user->pw_name;
}

Result<ExitCode> clients(const Context& context) {
  const auto connection = connect(context, "clients");
  if (!connection) return std::unexpected(connection.error());
  const auto rows = Admin{**connection}.list_clients();
  if (!rows) return std::unexpected(rows.error());
  Table table{{{"SESSION", "session", Align::kRight},
               {"PID", "pid", Align::kRight},
               {"USER", "user"},
               {"NAME", "name"},
               {"TOPICS", "topics"},
               {"PINS", "pins", Align::kRight},
               {"IDLE", "idle_ms", Align::kRight}}};
  for (const ClientDescription& row : *rows)
    table.add({number_cell(row.session), number_cell(row.pid), text_cell(user_name(row.uid)),
               text_cell(row.name), text_cell(row.topics), number_cell(row.pins),
               duration_cell(row.idle_ms)});
  return context.show(table);
}

}  // namespace

void add_status(CLI::App& root, Context& context) {
  CLI::App* command = add_command(root, "status", "How the broker is",
                                  "  mallbots status\n"
                                  "  mallbots status --format json | jq .memory_bytes\n");
  set_action(command, context, [&context] { return status(context); });
}

void add_clients(CLI::App& root, Context& context) {
  CLI::App* command =
      add_command(root, "clients", "Who is attached to the broker", "  mallbots clients\n");
  set_action(command, context, [&context] { return clients(context); });
}

}  // namespace mallbots::client::cli
