#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "clients/admin.h"
#include "clients/cli/command.h"
#include "clients/cli/session.h"
#include "clients/cli/settings.h"

namespace mallbots::client::cli {
namespace {

struct TopicOptions {
  std::string name;
  std::uint32_t partitions = 0;
  std::vector<std::string> settings;
  bool execute = false;
  bool all = false;
};
using Options = std::shared_ptr<TopicOptions>;

const std::vector<Column> kTopicColumns = {{"TOPIC", "topic"},
                                           {"PARTITIONS", "partitions", Align::kRight},
                                           {"RECORDS", "records", Align::kRight},
                                           {"DISK", "disk_bytes", Align::kRight},
                                           {"MEMORY", "memory_bytes", Align::kRight}};

std::vector<Cell> row_of(const TopicSummary& topic) {
  return {text_cell(topic.name), number_cell(topic.partitions), number_cell(topic.records),
          size_cell(topic.disk_bytes), size_cell(topic.memory_bytes)};
}

std::string id_text(std::uint64_t id) { return fmt::format("{:016x}", id); }

Result<ExitCode> create(const Context& context, const TopicOptions& options) {
  const auto settings = parse_settings(options.settings);
  if (!settings) return std::unexpected(settings.error());
  const auto connection = connect(context, "topic create");
  if (!connection) return std::unexpected(connection.error());
  Admin admin{**connection};
  const auto made = admin.create_topic(options.name, options.partitions, *settings);
  if (!made) return std::unexpected(made.error());
  const auto topic = admin.describe_topic(options.name);
  if (!topic) return std::unexpected(topic.error());
  const Cell disk = made->disk_bytes ? size_cell(*made->disk_bytes) : Cell{nullptr, "unbounded"};
  return context.show(
      Json{{"topic", printable(options.name)},
           {"topic_id", id_text(made->topic_id)},
           {"partitions", topic->partitions.size()},
           {"memory_bytes", made->memory_bytes},
           {"disk_bytes", disk.json}},
      fmt::format("created {}: {} partitions, at most {} of memory and {} of disk\n",
                  printable(options.name), topic->partitions.size(),
                  size_cell(made->memory_bytes).text, disk.text));
}

Result<ExitCode> list(const Context& context, bool internal) {
  const auto connection = connect(context, "topic list");
  if (!connection) return std::unexpected(connection.error());
  const auto topics = Admin{**connection}.list_topics(Deadline::after_ms(30'000), internal);
  if (!topics) return std::unexpected(topics.error());
  Table table{kTopicColumns};
  for (const TopicSummary& topic : *topics) table.add(row_of(topic));
  return context.show(table);
}

Table settings_table(const TopicDescription& topic) {
  Table table{{{"SETTING", "setting"}, {"VALUE", "value"}, {"SOURCE", "source"}}};
  for (const TopicSetting& setting : topic.settings)
    table.add({text_cell(setting.key), text_cell(setting.value),
               text_cell(setting.is_default ? "default" : "topic")});
  return table;
}

std::string_view state_name(ErrorCode state) {
  if (state == ErrorCode::kNone) return "ok";
  return state == ErrorCode::kCorrupt ? "quarantine" : error_entry(state).name;
}

Table partitions_table(const TopicDescription& topic) {
  Table table{{{"PARTITION", "partition", Align::kRight},
               {"START", "start_offset", Align::kRight},
               {"END", "end_offset", Align::kRight},
               {"DURABLE", "durable_offset", Align::kRight},
               {"SEGMENTS", "segments", Align::kRight},
               {"DISK", "disk_bytes", Align::kRight},
               {"SLOTS", "slots_in_memory", Align::kRight},
               {"STATE", "state"}}};
  for (const PartitionDescription& row : topic.partitions)
    table.add({number_cell(row.partition), offset_cell(row.start_offset),
               offset_cell(row.end_offset), offset_cell(row.durable_offset),
               number_cell(row.segments), size_cell(row.disk_bytes),
               number_cell(row.slots_in_memory), text_cell(state_name(row.state))});
  return table;
}

Result<ExitCode> describe(const Context& context, const std::string& name) {
  const auto connection = connect(context, "topic describe");
  if (!connection) return std::unexpected(connection.error());
  const auto topic = Admin{**connection}.describe_topic(name);
  if (!topic) return std::unexpected(topic.error());
  std::uint64_t records = 0;
  std::uint64_t disk_bytes = 0;
  for (const PartitionDescription& row : topic->partitions) {
    records += row.end_offset - std::min(row.start_offset, row.end_offset);
    disk_bytes += row.disk_bytes;
  }
  Facts summary;
  summary.add("topic", "topic", text_cell(name));
  summary.add("topic id", "topic_id", text_cell(id_text(topic->topic_id)));
  summary.add("partitions", "partition_count", number_cell(topic->partitions.size()));
  summary.add("records", "records", number_cell(records));
  summary.add("disk", "disk_bytes", size_cell(disk_bytes));
  Json json = summary.json();
  const Table settings = settings_table(*topic);
  const Table partitions = partitions_table(*topic);
  json["settings"] = settings.json();
  json["partitions"] = partitions.json();
  const std::size_t width = terminal_width();
  return context.show(json, "SUMMARY\n" + summary.text() + "\nSETTINGS\n" + settings.text(width) +
                                "\nPARTITIONS\n" + partitions.text(width));
}

Result<ExitCode> alter(const Context& context, const TopicOptions& options) {
  const auto settings = parse_settings(options.settings);
  if (!settings) return std::unexpected(settings.error());
  const auto connection = connect(context, "topic alter");
  if (!connection) return std::unexpected(connection.error());
  Admin admin{**connection};
  const auto before = admin.describe_topic(options.name);
  if (!before) return std::unexpected(before.error());
  MALLBOTS_TRY(admin.alter_topic(options.name, *settings));
  const auto after = admin.describe_topic(options.name);
  if (!after) return std::unexpected(after.error());
  Table table{{{"SETTING", "setting"}, {"BEFORE", "before"}, {"AFTER", "after"}}};
  for (const TopicSetting& now : after->settings) {
    const auto was = std::ranges::find(before->settings, now.key, &TopicSetting::key);
    const std::string old_value = was == before->settings.end() ? "" : was->value;
    if (old_value != now.value)
      table.add({text_cell(now.key), text_cell(old_value), text_cell(now.value)});
  }
  return context.show(table);
}

Result<ExitCode> remove(const Context& context, const TopicOptions& options) {
  const auto connection = connect(context, "topic delete");
  if (!connection) return std::unexpected(connection.error());
  Admin admin{**connection};
  const auto topics = admin.list_topics();
  if (!topics) return std::unexpected(topics.error());
  const auto topic = std::ranges::find(*topics, options.name, &TopicSummary::name);
  if (topic == topics->end())
    return fail(ErrorCode::kUnknownTopic, fmt::format("'{}'", options.name));
  if (options.execute) MALLBOTS_TRY(admin.delete_topic(options.name));
  Table table{kTopicColumns};
  table.add(row_of(*topic));
  Json json = table.json()[0];
  json["deleted"] = options.execute;
  return context.show(json, table.text() + (options.execute ? "deleted\n"
                                                            : "nothing is deleted yet; add "
                                                              "--execute to do it\n"));
}

void add_settings(CLI::App* command, const Options& options) {
  command->add_option("-c", options->settings, "A setting, e.g. retention.ms=7d; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
}

CLI::Option* add_name(CLI::App* command, const Options& options) {
  return command->add_option("NAME", options->name, "Name of the topic")->required();
}

}  // namespace

void add_topic(CLI::App& root, Context& context) {
  CLI::App* topic = add_command(root, "topic", "Create, list, describe, alter and delete topics",
                                "  mallbots topic create orders -p 8\n"
                                "  mallbots topic describe orders\n");
  topic->require_subcommand(1);
  auto options = std::make_shared<TopicOptions>();

  CLI::App* command = add_command(*topic, "create", "Make a topic and say what it may cost",
                                  "  mallbots topic create orders -p 8 -c retention.ms=7d\n"
                                  "  mallbots topic create poses -c storage=memory\n");
  add_name(command, options);
  command->add_option("-p,--partitions", options->partitions, "How many partitions (default: 1)")
      ->check(CLI::Range(1u, 4096u))
      ->type_name("N");
  add_settings(command, options);
  set_action(command, context, [options, &context] { return create(context, *options); });

  command = add_command(*topic, "list", "All topics", "  mallbots topic list\n");
  command->add_flag("--all", options->all, "The broker's own topics, too");
  set_action(command, context, [options, &context] { return list(context, options->all); });

  command = add_command(*topic, "describe", "A topic's settings and partitions",
                        "  mallbots topic describe orders\n"
                        "  mallbots topic describe orders --format json | jq .partitions\n");
  add_name(command, options);
  set_action(command, context, [options, &context] { return describe(context, options->name); });

  command = add_command(*topic, "alter", "Change settings of a topic",
                        "  mallbots topic alter orders -c retention.ms=30d\n");
  add_name(command, options);
  add_settings(command, options);
  command->get_option("-c")->required();
  set_action(command, context, [options, &context] { return alter(context, *options); });

  command = add_command(*topic, "delete", "Delete a topic with all its records",
                        "  mallbots topic delete orders            # shows what would go\n"
                        "  mallbots topic delete orders --execute\n");
  add_name(command, options);
  command->add_flag("--execute", options->execute, "Do it; without it, only show it");
  set_action(command, context, [options, &context] { return remove(context, *options); });
}

}  // namespace mallbots::client::cli
