#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "clients/cli/command.h"
#include "clients/cli/progress.h"
#include "clients/cli/record_format.h"
#include "clients/cli/session.h"
#include "clients/cli/units.h"
#include "clients/toolkit/dead_letter.h"
#include "clients/toolkit/dead_letter_box.h"
#include "clients/toolkit/message.h"
#include "shm/base/clock.h"

namespace mallbots::client::cli {
namespace {

using toolkit::DeadLetterBox;
using toolkit::Letter;
using toolkit::LetterState;

struct DlqOptions {
  std::string topic;
  std::string group;
  std::vector<std::string> ids;
  std::string reason;
  std::string key;
  std::string type;
  std::string handler;
  std::string since;
  std::string until;
  std::string by;
  bool all = false;
  bool execute = false;
};
using Options = std::shared_ptr<DlqOptions>;

/// A connection and the box on it.
struct Opened {
  std::unique_ptr<Connection> connection;
  std::unique_ptr<DeadLetterBox> box;
};

Result<Opened> open_box(const Context& context, const DlqOptions& options,
                        const std::string& command) {
  auto connection = connect(context, command);
  if (!connection) return std::unexpected(std::move(connection).error());
  auto box = DeadLetterBox::open(**connection, options.topic, options.group);
  if (!box) return std::unexpected(std::move(box).error());
  return Opened{std::move(*connection), std::move(*box)};
}

Result<toolkit::LetterFilter> filter_of(const DlqOptions& options) {
  const auto given = [](const std::string& text) {
    return text.empty() ? std::nullopt : std::optional{text};
  };
  toolkit::LetterFilter filter;
  filter.ids = options.ids;
  filter.reason = given(options.reason);
  filter.key = given(options.key);
  filter.type = given(options.type);
  filter.handler = given(options.handler);
  const auto time = [](const std::string& text, std::optional<UnixMillis>& into) -> Result<void> {
    if (text.empty()) return {};
    const auto parsed = parse_time(text, wall_now_ms());
    if (!parsed) return std::unexpected(parsed.error());
    into = *parsed;
    return {};
  };
  MALLBOTS_TRY(time(options.since, filter.since_ms));
  MALLBOTS_TRY(time(options.until, filter.until_ms));
  return filter;
}

/// What could not be read is said behind what could.
Result<ExitCode> ended(const DeadLetterBox& box) {
  if (box.unreadable()) return std::unexpected(*box.unreadable());
  return ExitCode::kDone;
}

std::uint64_t number_in(const Letter& letter, std::string_view name) {
  const auto number = parse_number(letter.header(name), name);
  return number ? *number : 0;
}

Cell time_cell(UnixMillis time_ms) { return {Json(time_ms), format_time(time_ms)}; }
Cell word_cell(std::string_view text) { return text.empty() ? empty_cell() : text_cell(text); }

// --- list

/// The letters as rows, in the order of their ids.
class LetterTable {
 public:
  void add(const Letter& letter) {
    const Message& message = *letter.message;
    rows_.emplace(letter.id,
                  Row{text_cell(letter.id.text()), time_cell(message.timestamp_ms),
                      word_cell(letter.header(toolkit::kDeadReason)),
                      number_cell(number_in(letter, toolkit::kDeadAttempts)),
                      word_cell(message.key_text()), text_cell(toolkit::Message{message}.id()),
                      word_cell(letter.header(toolkit::kDeadHandler)),
                      word_cell(letter.header(toolkit::kDeadType)),
                      word_cell(letter.header(toolkit::kDeadText))});
    details_.emplace(letter.id, Json{{"partition", letter.id.partition},
                                     {"offset", letter.id.offset},
                                     {"topic", printable(letter.header(toolkit::kDeadTopic))},
                                     {"first_time_ms", number_in(letter, toolkit::kDeadFirstTime)},
                                     {"last_time_ms", number_in(letter, toolkit::kDeadLastTime)},
                                     {"payload_bytes", message.payload.size()}});
  }
  [[nodiscard]] std::size_t letters() const noexcept { return rows_.size(); }
  [[nodiscard]] std::string text() { return table().text(terminal_width()); }
  [[nodiscard]] Json json() {
    Json rows = table().json();
    std::size_t i = 0;
    for (const auto& [id, more] : details_) rows[i++].update(more);
    return rows;
  }

 private:
  using Row = std::vector<Cell>;
  [[nodiscard]] Table table() const {
    Table table{{{"ID", "id"},
                 {"DIED", "died_ms"},
                 {"REASON", "reason"},
                 {"ATTEMPTS", "attempts", Align::kRight},
                 {"KEY", "key"},
                 {"MESSAGE", "message_id"},
                 {"HANDLER", "handler"},
                 {"TYPE", "type"},
                 {"TEXT", "text"}}};
    for (const auto& [id, row] : rows_) table.add(row);
    return table;
  }
  std::map<toolkit::LetterId, Row> rows_;
  std::map<toolkit::LetterId, Json> details_;
};

Result<LetterTable> find_letters(DeadLetterBox& box, const toolkit::LetterFilter& filter) {
  LetterTable table;
  MALLBOTS_TRY(box.each([&](const Letter& letter) {
    if (letter.state == LetterState::kLeft && filter.matches(letter)) table.add(letter);
    return true;
  }));
  return table;
}

Result<ExitCode> list_fingerprints(const Context& context, DeadLetterBox& box,
                                   const toolkit::LetterFilter& filter) {
  struct Print {
    std::uint64_t letters = 0;
    UnixMillis first_ms = 0;
    UnixMillis last_ms = 0;
    std::string text;
  };
  std::map<std::pair<std::string, std::string>, Print> prints;
  MALLBOTS_TRY(box.each([&](const Letter& letter) {
    if (letter.state != LetterState::kLeft || !filter.matches(letter)) return true;
    Print& print = prints[{std::string{letter.header(toolkit::kDeadHandler)},
                           std::string{letter.header(toolkit::kDeadType)}}];
    const UnixMillis died_ms = letter.message->timestamp_ms;
    print.first_ms = print.letters == 0 ? died_ms : std::min(print.first_ms, died_ms);
    if (print.letters++ == 0 || died_ms >= print.last_ms) {
      print.last_ms = died_ms;
      print.text = letter.header(toolkit::kDeadText);
    }
    return true;
  }));
  std::vector<std::pair<std::pair<std::string, std::string>, Print>> sorted(prints.begin(),
                                                                            prints.end());
  std::ranges::stable_sort(sorted, std::greater{},
                           [](const auto& one) { return one.second.letters; });
  Table table{{{"HANDLER", "handler"},
               {"TYPE", "type"},
               {"LETTERS", "letters", Align::kRight},
               {"FIRST", "first_ms"},
               {"LAST", "last_ms"},
               {"TEXT", "text"}}};
  for (const auto& [who, print] : sorted)
    table.add({word_cell(who.first), word_cell(who.second), number_cell(print.letters),
               time_cell(print.first_ms), time_cell(print.last_ms), word_cell(print.text)});
  MALLBOTS_TRY(context.show(table));
  return ended(box);
}

Result<ExitCode> list(const Context& context, const DlqOptions& options) {
  const auto filter = filter_of(options);
  if (!filter) return std::unexpected(filter.error());
  const auto opened = open_box(context, options, "dlq list");
  if (!opened) return std::unexpected(opened.error());
  if (!options.by.empty()) return list_fingerprints(context, *opened->box, *filter);
  auto table = find_letters(*opened->box, *filter);
  if (!table) return std::unexpected(table.error());
  MALLBOTS_TRY(context.show(table->json(), table->text()));
  return ended(*opened->box);
}

// --- show

std::string_view state_word(LetterState state) {
  return state == LetterState::kLeft ? "left"
                                     : (state == LetterState::kReplayed ? "replayed" : "purged");
}

void add_bytes(Json& json, const std::string& name, std::string_view bytes) {
  if (is_utf8(bytes))
    json[name] = bytes;
  else
    json[name + "_base64"] = base64(bytes);
}

Json json_of(const Letter& letter) {
  Json headers = Json::array();
  for (const Header header : letter.message->headers()) {
    headers.push_back(printable(header.name));
    headers.push_back(printable(header.value));
  }
  Json json{{"id", letter.id.text()},
            {"state", state_word(letter.state)},
            {"died_ms", letter.message->timestamp_ms}};
  add_bytes(json, "key", letter.message->key_text());
  json["headers"] = std::move(headers);
  add_bytes(json, "payload", letter.message->text());
  return json;
}

std::string text_of(const Letter& letter) {
  Facts facts;
  facts.add("id", "id", text_cell(letter.id.text()));
  facts.add("state", "state", text_cell(state_word(letter.state)));
  facts.add("died", "died_ms", time_cell(letter.message->timestamp_ms));
  facts.add("key", "key", word_cell(letter.message->key_text()));
  for (const Header header : letter.message->headers())
    facts.add(printable(header.name), "header", text_cell(header.value));
  return facts.text() + "\n" + std::string{letter.message->text()} + "\n";
}

Result<ExitCode> show(const Context& context, const DlqOptions& options) {
  const auto opened = open_box(context, options, "dlq show");
  if (!opened) return std::unexpected(opened.error());
  const toolkit::LetterFilter wanted{.ids = options.ids};
  std::optional<std::pair<Json, std::string>> found;
  MALLBOTS_TRY(opened->box->each([&](const Letter& letter) {
    if (!wanted.matches(letter)) return true;
    found = {json_of(letter), text_of(letter)};
    return letter.state != LetterState::kLeft;  // of one message, rather one that is left
  }));
  if (!found)
    return fail(
        ErrorCode::kUnknownLetter,
        fmt::format("'{}' of {} for group {}", options.ids.front(), options.topic, options.group));
  return context.show(found->first, found->second);
}

// --- replay, purge

enum class Verb : std::uint8_t { kReplay, kPurge };

Result<ExitCode> execute(const Context& context, DeadLetterBox& box,
                         const toolkit::LetterFilter& filter, Verb verb) {
  catch_stop_signals();
  Result<DeadLetterBox::Outcome> outcome;
  {
    Progress progress{"letters done"};
    const auto go_on = [&](std::uint64_t done) {
      progress.tell(done);
      return !stop_requested();
    };
    outcome = verb == Verb::kReplay ? box.replay(filter, go_on) : box.purge(filter, go_on);
  }
  if (!outcome) return std::unexpected(outcome.error());
  std::uint64_t left = 0;
  MALLBOTS_TRY(box.each([&](const Letter& letter) {
    left += letter.state == LetterState::kLeft ? 1 : 0;
    return true;
  }));
  const std::string word = verb == Verb::kReplay ? "replayed" : "purged";
  MALLBOTS_TRY(context.show(Json{{word, outcome->done}, {"left", left}},
                            fmt::format("{} {} letters, {} left\n", word, outcome->done, left)));
  if (outcome->stopped) return ExitCode::kFailed;
  return ended(box);
}

Result<ExitCode> finish(const Context& context, const DlqOptions& options, Verb verb) {
  const auto filter = filter_of(options);
  if (!filter) return std::unexpected(filter.error());
  if (filter->is_empty() != options.all)
    return fail(ErrorCode::kBadArgument,
                options.all ? "--all together with ids or a filter"
                            : "name letters by id or filter, or all of them with --all");
  const auto opened =
      open_box(context, options, verb == Verb::kReplay ? "dlq replay" : "dlq purge");
  if (!opened) return std::unexpected(opened.error());
  DeadLetterBox& box = *opened->box;
  if (options.execute) return execute(context, box, *filter, verb);
  if (!filter->ids.empty()) MALLBOTS_TRY(box.check_ids(*filter));
  auto table = find_letters(box, *filter);
  if (!table) return std::unexpected(table.error());
  const std::string note =
      fmt::format("{} letters; nothing is {} yet; add --execute to do it\n", table->letters(),
                  verb == Verb::kReplay ? "replayed" : "purged");
  MALLBOTS_TRY(context.show(table->json(), table->text() + note));
  return ended(box);
}

// --- The command line

void add_place(CLI::App* command, const Options& options) {
  command->add_option("TOPIC", options->topic, "The topic that the group read")->required();
  command->add_option("-g", options->group, "The group that gave up on them")
      ->required()
      ->type_name("GROUP");
}

void add_filter(CLI::App* command, const Options& options) {
  command->add_option("--reason", options->reason, "Only letters that died so")
      ->check(CLI::IsMember({"rejected", "attempts"}))
      ->option_text("rejected|attempts");
  command->add_option("--key", options->key, "Only of messages with this key")->type_name("KEY");
  command->add_option("--type", options->type, "Only this type of failure")->type_name("TYPE");
  command->add_option("--handler", options->handler, "Only failures of this handler")
      ->type_name("HANDLER");
  command->add_option("--since", options->since, "Only what died then or later")->type_name("TIME");
  command->add_option("--until", options->until, "Only what died before")->type_name("TIME");
}

void add_verb(CLI::App& dlq, Context& context, Verb verb) {
  const bool replays = verb == Verb::kReplay;
  auto options = std::make_shared<DlqOptions>();
  CLI::App* command = add_command(
      dlq, replays ? "replay" : "purge",
      replays ? "Publish letters to where they came from" : "Do away with letters",
      replays ? "  mallbots dlq replay orders 0:17 0:18 -g billing      # shows what it would do\n"
                "  mallbots dlq replay orders -g billing --handler charge --execute\n"
              : "  mallbots dlq purge orders -g billing --until -30d --execute\n"
                "  mallbots dlq purge orders -g billing --all --execute\n");
  add_place(command, options);
  command->add_option("ID", options->ids, "Which letters: PARTITION:OFFSET or message id");
  add_filter(command, options);
  command->add_flag("--all", options->all, "All that are left");
  command->add_flag("--execute", options->execute, "Do it; without it, only show it");
  set_action(command, context,
             [options, verb, &context] { return finish(context, *options, verb); });
}

}  // namespace

void add_dlq(CLI::App& root, Context& context) {
  CLI::App* dlq = add_command(root, "dlq", "Dead letters: what a group could not handle",
                              "  mallbots dlq list orders -g billing --by fingerprint\n"
                              "  mallbots dlq replay orders -g billing --all --execute\n");
  dlq->require_subcommand(1);
  auto options = std::make_shared<DlqOptions>();
  CLI::App* command = add_command(*dlq, "list", "The letters that are left",
                                  "  mallbots dlq list orders -g billing --since -1h\n"
                                  "  mallbots dlq list orders -g billing --by fingerprint\n");
  add_place(command, options);
  add_filter(command, options);
  command->add_option("--by", options->by, "Count them by handler and type of failure")
      ->check(CLI::IsMember({"fingerprint"}))
      ->option_text("fingerprint");
  set_action(command, context, [options, &context] { return list(context, *options); });

  auto one = std::make_shared<DlqOptions>();
  command = add_command(*dlq, "show", "Headers and payload of one letter",
                        "  mallbots dlq show orders 0:17 -g billing\n");
  add_place(command, one);
  command->add_option("ID", one->ids, "PARTITION:OFFSET or message id")->required()->expected(1);
  set_action(command, context, [one, &context] { return show(context, *one); });

  add_verb(*dlq, context, Verb::kReplay);
  add_verb(*dlq, context, Verb::kPurge);
}

}  // namespace mallbots::client::cli
