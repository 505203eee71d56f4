#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <tuple>

#include "clients/cli/command.h"
#include "clients/cli/record_format.h"
#include "clients/cli/session.h"
#include "clients/cli/units.h"
#include "clients/toolkit/lake/archiver.h"
#include "clients/toolkit/lake/lake_query.h"
#include "shm/base/clock.h"

namespace mallbots::client::cli {
namespace {

constexpr std::size_t kPrintBytes = 64 * 1024;

struct LakeOptions {
  std::string folder;
  toolkit::ArchiverOptions archive;
  std::string roll = "5m";
  bool streams_only = false;
  toolkit::LakeFilter filter;
  std::string from;
  std::string to;
  std::uint64_t count = 0;  ///< 0: all
  std::string pattern = "%s\\n";
  bool json = false;
};

// --- archive

Result<ExitCode> archive(const Context& context, LakeOptions options) {
  const auto roll_ms = parse_duration_ms(options.roll);
  if (!roll_ms) return std::unexpected(roll_ms.error());
  options.archive.folder = options.folder;
  options.archive.roll_ms = *roll_ms;
  if (options.streams_only) options.archive.topics.clear();
  catch_stop_signals();
  auto archiver = toolkit::Archiver::open({.instance = context.instance,
                                           .runtime_dir = context.runtime_dir,
                                           .name = "lake archive",
                                           .waiting = Waiting::kBlock},
                                          options.archive);
  if (!archiver) return std::unexpected(archiver.error());
  std::string told;
  std::jthread thread{[&](const std::stop_token& asked) { (*archiver)->run(asked); }};
  while (!stop_requested()) {
    pause_for(1'000);
    const std::string problem = (*archiver)->status().last_error;
    if (problem != told) fmt::print(stderr, "mallbots: {}\n", printable(problem));
    told = problem;
  }
  thread.request_stop();
  thread.join();
  const toolkit::ArchiverStatus status = (*archiver)->status();
  Facts facts;
  facts.add("archived", "archived", number_cell(status.archived));
  facts.add("files", "files", number_cell(status.files));
  facts.add("lost", "lost", number_cell(status.lost));
  facts.add("topics", "topics", number_cell(status.topics));
  return context.show(facts, status.waiting == 0 ? ExitCode::kDone : ExitCode::kFailed);
}

// --- read

Result<void> set_times(LakeOptions& options) {
  const auto set = [](const std::string& text, UnixMillis& into) -> Result<void> {
    if (text.empty()) return {};
    const auto time = parse_time(text, wall_now_ms());
    if (!time) return std::unexpected(time.error());
    into = *time;
    return {};
  };
  MALLBOTS_TRY(set(options.from, options.filter.from_ms));
  return set(options.to, options.filter.to_ms);
}

Result<ExitCode> read(const Context& context, LakeOptions options) {
  MALLBOTS_TRY(set_times(options));
  const auto pattern = RecordPattern::parse(options.pattern);
  if (!pattern) return std::unexpected(pattern.error());
  catch_stop_signals();
  auto cursor = toolkit::LakeCursor::open(options.folder, options.filter);
  if (!cursor) return std::unexpected(cursor.error());
  std::string out;
  std::vector<std::pair<std::string_view, std::string_view>> headers;
  std::optional<Error> problem;
  for (std::uint64_t printed = 0;
       !stop_requested() && (options.count == 0 || printed < options.count); ++printed) {
    const auto message = cursor->next();
    if (!message) problem = message.error();
    if (!message || *message == nullptr) break;
    const RecordText record = text_of(**message, headers);
    if (options.json || context.json())
      render_json(record, out);
    else
      pattern->render(record, out);
    if (out.size() < kPrintBytes) continue;
    if (!print(out)) return fail(ErrorCode::kIo, "stdout does not take the records");
    out.clear();
  }
  if (!out.empty() && !print(out)) return fail(ErrorCode::kIo, "stdout does not take the records");
  if (problem) return std::unexpected(*problem);
  return ExitCode::kDone;
}

// --- status

Result<ExitCode> status(const Context& context, const LakeOptions& options) {
  const auto files = toolkit::LakeFolder{options.folder}.files();
  if (!files) return std::unexpected(files.error());
  struct Kept {
    std::uint64_t files = 0;
    std::uint64_t records = 0;
    std::uint64_t gaps = 0;
    Offset first = 0;
    Offset next = 0;
  };
  std::map<std::tuple<std::string, std::uint64_t, PartitionIndex>, Kept> partitions;
  for (const toolkit::LakeFile& file : *files) {
    Kept& kept = partitions[{file.topic, file.log, file.partition}];
    if (kept.files++ == 0) kept.first = kept.next = file.first;
    kept.gaps += file.first > kept.next ? file.first - kept.next : 0;
    kept.records += file.records;
    kept.next = file.next;
  }
  Table table{{{"TOPIC", "topic"},
               {"LOG", "log"},
               {"PARTITION", "partition", Align::kRight},
               {"FILES", "files", Align::kRight},
               {"RECORDS", "records", Align::kRight},
               {"FIRST", "first", Align::kRight},
               {"NEXT", "next", Align::kRight},
               {"LOST", "lost", Align::kRight}}};
  for (const auto& [place, kept] : partitions)
    table.add({text_cell(std::get<0>(place)), text_cell(fmt::format("{:016x}", std::get<1>(place))),
               number_cell(std::get<2>(place)), number_cell(kept.files), number_cell(kept.records),
               number_cell(kept.first), number_cell(kept.next), number_cell(kept.gaps)});
  return context.show(table);
}

// --- The command line

using Options = std::shared_ptr<LakeOptions>;

void add_folder(CLI::App* command, const Options& options) {
  command->add_option("DIR", options->folder, "The lake's folder")->required();
}

void add_archive(CLI::App& lake, Context& context) {
  CLI::App* command =
      add_command(lake, "archive", "Keep public events in a lake until stopped",
                  "  mallbots lake archive /srv/lake\n"
                  "  mallbots lake archive /srv/lake --topic 'orders.*' --roll 1h\n");
  const auto options = std::make_shared<LakeOptions>();
  add_folder(command, options);
  CLI::Option* topics =
      command
          ->add_option("--topic", options->archive.topics,
                       "Also topics whose name fits, * stands for any text (default: events.*)")
          ->type_name("PATTERN");
  command->add_flag("--streams-only", options->streams_only, "Only topics of type=events")
      ->excludes(topics);
  command->add_option("-g", options->archive.group, "The group that the archiver is")
      ->capture_default_str()
      ->type_name("GROUP");
  command->add_option("--roll", options->roll, "Age at which a file is closed")
      ->capture_default_str()
      ->type_name("DURATION");
  set_action(command, context, [options, &context] { return archive(context, *options); });
}

void add_read(CLI::App& lake, Context& context) {
  CLI::App* command = add_command(lake, "read", "Print what a lake holds, in the order of time",
                                  "  mallbots lake read /srv/lake --type OrderPlaced --from -7d\n"
                                  "  mallbots lake read /srv/lake --key o-17 -J | jq .headers\n"
                                  "  mallbots lake read /srv/lake --topic 'mallbots.orders.*' --to "
                                  "2026-01-01 -f '%t %o %k\\n'\n");
  const auto options = std::make_shared<LakeOptions>();
  toolkit::LakeFilter& filter = options->filter;
  add_folder(command, options);
  command->add_option("--topic", filter.topics, "Only of these; * stands for any text")
      ->type_name("PATTERN");
  command->add_option("--type", filter.types, "Only messages of this name")->type_name("NAME");
  command->add_option("--key", filter.keys, "Only of this entity")->type_name("KEY");
  command->add_option("--from", options->from, "Only what the log took then or later")
      ->type_name("TIME");
  command->add_option("--to", options->to, "Only what it took before")->type_name("TIME");
  command->add_option("-p", filter.partition, "Only this partition")->type_name("N");
  command->add_option("-o", filter.first, "Only offsets from here on")->type_name("N");
  command->add_option("-n", options->count, "End after so many records")
      ->check(CLI::PositiveNumber)
      ->type_name("COUNT");
  CLI::Option* pattern =
      command->add_option("-f", options->pattern, "How a record is printed: %t %p %o %k %s ...")
          ->capture_default_str()
          ->type_name("FORMAT");
  command->add_flag("-J", options->json, "One JSON object per record")->excludes(pattern);
  set_action(command, context, [options, &context] { return read(context, *options); });
}

}  // namespace

void add_lake(CLI::App& root, Context& context) {
  CLI::App* lake = add_command(root, "lake", "Events kept for good, in files of an open format",
                               "  mallbots lake archive /srv/lake\n"
                               "  mallbots lake read /srv/lake --type OrderPlaced --from -7d\n");
  lake->require_subcommand(1);
  add_archive(*lake, context);
  add_read(*lake, context);
  CLI::App* command = add_command(*lake, "status", "What a lake holds of which partition",
                                  "  mallbots lake status /srv/lake\n");
  const auto options = std::make_shared<LakeOptions>();
  add_folder(command, options);
  set_action(command, context, [options, &context] { return status(context, *options); });
}

}  // namespace mallbots::client::cli
