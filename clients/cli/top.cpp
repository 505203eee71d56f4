#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <map>
#include <memory>

#include "clients/admin.h"
#include "clients/cli/command.h"
#include "clients/cli/session.h"
#include "clients/cli/units.h"
#include "shm/base/clock.h"

namespace mallbots::client::cli {
namespace {

struct TopOptions {
  std::string interval = "1s";
  std::uint64_t count = 0;  ///< 0: without end
};

/// Appended records of each topic, and when they were counted. Retention takes records away at the
/// start, so the ends are what counts up.
struct Sample {
  BootNanos at_ns = 0;
  std::map<std::string, std::uint64_t> appended;
};

std::uint64_t rate(const Sample& before, const Sample& now, const std::string& topic) {
  const auto was = before.appended.find(topic);
  const auto is = now.appended.find(topic);
  if (was == before.appended.end() || is == now.appended.end() || is->second < was->second ||
      now.at_ns <= before.at_ns)
    return 0;
  const double seconds = static_cast<double>(now.at_ns - before.at_ns) / 1e9;
  return static_cast<std::uint64_t>(
      std::llround(static_cast<double>(is->second - was->second) / seconds));
}

Result<Sample> take_sample(Admin& admin, const std::vector<TopicSummary>& topics) {
  Sample sample;
  for (const TopicSummary& topic : topics) {
    const auto description = admin.describe_topic(topic.name);
    if (!description && description.error().code == ErrorCode::kUnknownTopic) continue;
    if (!description) return std::unexpected(description.error());
    std::uint64_t& appended = sample.appended[topic.name];
    for (const PartitionDescription& row : description->partitions) appended += row.end_offset;
  }
  sample.at_ns = boot_now_ns();
  return sample;
}

Table topics_table(const std::vector<TopicSummary>& topics, const Sample& before,
                   const Sample& now) {
  Table table{{{"TOPIC", "topic"},
               {"PARTITIONS", "partitions", Align::kRight},
               {"RECORDS", "records", Align::kRight},
               {"RATE", "records_per_s", Align::kRight},
               {"DISK", "disk_bytes", Align::kRight}}};
  for (const TopicSummary& topic : topics) {
    const std::uint64_t per_s = rate(before, now, topic.name);
    table.add({text_cell(topic.name),
               number_cell(topic.partitions),
               number_cell(topic.records),
               {Json(per_s), fmt::format("{}/s", per_s)},
               size_cell(topic.disk_bytes)});
  }
  return table;
}

Table groups_table(const std::vector<GroupListing>& groups) {
  Table table{
      {{"GROUP", "group"}, {"MEMBERS", "members", Align::kRight}, {"LAG", "lag", Align::kRight}}};
  for (const GroupListing& group : groups)
    table.add({text_cell(group.group), number_cell(group.members), number_cell(group.lag)});
  return table;
}

bool print_one(const Context& context, const Table& topics, const Table& groups) {
  if (context.json())
    return print(
        Json{{"time_ms", wall_now_ms()}, {"topics", topics.json()}, {"groups", groups.json()}}
            .dump() +
        "\n");
  const std::size_t width = terminal_width();
  const std::string clear = isatty(STDOUT_FILENO) != 0 ? "\x1b[H\x1b[2J" : "";
  return print(clear + format_time(wall_now_ms()) + "\n\n" + topics.text(width) + "\n" +
               groups.text(width) + "\n");
}

Result<ExitCode> top(const Context& context, const TopOptions& options) {
  const auto interval_ms = parse_duration_ms(options.interval);
  if (!interval_ms) return std::unexpected(interval_ms.error());
  if (*interval_ms < 50 || *interval_ms > 3'600'000)
    return fail(ErrorCode::kBadArgument,
                fmt::format("interval '{}' is not between 50ms and 1h", options.interval));
  const auto connection = connect(context, "top");
  if (!connection) return std::unexpected(connection.error());
  Admin admin{**connection};
  catch_stop_signals();
  Sample before;
  for (std::uint64_t shown = 0; !stop_requested();) {
    const auto topics = admin.list_topics();
    if (!topics) return std::unexpected(topics.error());
    const auto groups = admin.list_groups();
    if (!groups) return std::unexpected(groups.error());
    const auto now = take_sample(admin, *topics);
    if (!now) return std::unexpected(now.error());
    // The first look has nothing to compare with.
    if (before.at_ns != 0) {
      if (!print_one(context, topics_table(*topics, before, *now), groups_table(*groups)))
        return fail(ErrorCode::kIo, "stdout does not take the output");
      if (options.count != 0 && ++shown == options.count) break;
    }
    before = *now;
    pause_for(*interval_ms);
  }
  return ExitCode::kDone;
}

}  // namespace

void add_top(CLI::App& root, Context& context) {
  CLI::App* command = add_command(root, "top", "Records per second and lag, live",
                                  "  mallbots top\n"
                                  "  mallbots top --interval 5s -n 3 --format json\n");
  auto options = std::make_shared<TopOptions>();
  command->add_option("--interval", options->interval, "How often")
      ->capture_default_str()
      ->type_name("DURATION");
  command->add_option("-n", options->count, "End after so many looks")->type_name("COUNT");
  set_action(command, context, [options, &context] { return top(context, *options); });
}

}  // namespace mallbots::client::cli
