#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>

#include "clients/cli/command.h"
#include "clients/cli/line_reader.h"
#include "clients/cli/record_format.h"
#include "clients/cli/session.h"
#include "clients/event_store.h"

namespace mallbots::client::cli {
namespace {

constexpr std::size_t kLongestEvent = 512ULL << 20;
constexpr std::size_t kPage = 256;
constexpr std::int64_t kPatienceMs = 60'000;

struct EventsOptions {
  std::string topic;
  std::string stream;
  std::string expect = "any";
  bool internal = false;
  std::vector<std::string> headers;
  Acks acks = Acks::kDurable;
  bool backward = false;
  std::uint64_t from = 0;
  std::uint64_t count = 0;  ///< 0: all
  bool durable = true;
  std::string pattern = "%s\\n";
  bool json = false;
  bool all = false;
};

struct Opened {
  std::unique_ptr<Connection> connection;
  std::unique_ptr<EventStore> store;
};
Result<Opened> open(const Context& context, const std::string& command, const std::string& topic) {
  auto connection = connect(context, command, kPatienceMs);
  if (!connection) return std::unexpected(std::move(connection).error());
  auto store = EventStore::open(**connection, topic);
  if (!store) return std::unexpected(std::move(store).error());
  return Opened{std::move(*connection), std::move(*store)};
}

Result<Expected> parse_expected(const std::string& text) {
  if (text == "any") return Expected::any();
  if (text == "none") return Expected::none();
  if (text == "exists") return Expected::exists();
  StreamVersion version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error == std::errc{} && end == text.data() + text.size()) return Expected::at(version);
  return fail(ErrorCode::kBadArgument,
              "--expect " + text + ": it takes any, none, exists or a version");
}

// append
// -----------------------------------------------------------------------------------------

Result<std::vector<std::string>> read_lines() {
  std::vector<std::string> lines;
  LineReader reader{STDIN_FILENO, kLongestEvent};
  for (std::string_view line;;) {
    const auto outcome = reader.next(line, true);
    if (!outcome) return std::unexpected(outcome.error());
    if (*outcome == LineReader::Outcome::kEnd) break;
    lines.emplace_back(line);
  }
  if (lines.empty()) return fail(ErrorCode::kBadArgument, "there is no event on stdin");
  return lines;
}

Result<std::vector<Header>> parse_headers(const std::vector<std::string>& texts) {
  std::vector<Header> headers;
  for (const std::string_view text : texts) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0)
      return fail(ErrorCode::kBadArgument, fmt::format("-H {}: it takes NAME=VALUE", text));
    headers.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  return headers;
}

Result<ExitCode> append(const Context& context, const EventsOptions& options) {
  const auto expected = parse_expected(options.expect);
  if (!expected) return std::unexpected(expected.error());
  const auto headers = parse_headers(options.headers);
  if (!headers) return std::unexpected(headers.error());
  const auto lines = read_lines();
  if (!lines) return std::unexpected(lines.error());
  const auto opened = open(context, "events append", options.topic);
  if (!opened) return std::unexpected(opened.error());
  std::vector<Event> events;
  for (const std::string& line : *lines)
    events.push_back(
        {.payload = as_bytes(line), .headers = *headers, .is_internal = options.internal});
  const auto made =
      opened->store->append(options.stream, *expected, events, {.acks = options.acks});
  if (!made) return std::unexpected(made.error());
  const Json json{{"stream", options.stream},
                  {"events", events.size()},
                  {"version", made->version},
                  {"partition", made->receipt.partition},
                  {"offset", made->receipt.offset}};
  return context.show(json, fmt::format("{}/{}: {} events, version {}\n", options.topic,
                                        printable(options.stream), events.size(), made->version));
}

// read
// -----------------------------------------------------------------------------------------

/// Where the page behind this one begins; nothing: there is none.
std::optional<StreamVersion> next_from(const std::vector<StreamEvent>& page, bool backward) {
  const StreamVersion last = page.back().version;
  if (!backward) return last + 1;
  return last > 1 ? std::optional{last - 1} : std::nullopt;
}

Result<ExitCode> read(const Context& context, const EventsOptions& options) {
  const bool json = options.json || context.json();
  const auto pattern = RecordPattern::parse(options.pattern);
  if (!pattern) return std::unexpected(pattern.error());
  const auto opened = open(context, "events read", options.topic);
  if (!opened) return std::unexpected(opened.error());
  catch_stop_signals();
  std::uint64_t left = options.count == 0 ? ~std::uint64_t{0} : options.count;
  std::optional<StreamVersion> from = options.from;
  std::vector<std::pair<std::string_view, std::string_view>> headers;
  while (from && left != 0 && !stop_requested()) {
    const StreamRead how{.from = *from,
                         .count = static_cast<std::size_t>(std::min<std::uint64_t>(left, kPage)),
                         .durable = options.durable};
    const auto page = options.backward ? opened->store->read_backward(options.stream, how)
                                       : opened->store->read(options.stream, how);
    if (!page) return std::unexpected(page.error());
    if (page->empty()) break;
    std::string out;
    for (const StreamEvent& event : *page) {
      const RecordText record = text_of(event.message.view(), headers);
      if (json)
        render_json(record, out);
      else
        pattern->render(record, out);
    }
    if (!print(out)) return fail(ErrorCode::kIo, "stdout does not take the events");
    left -= page->size();
    from = next_from(*page, options.backward);
  }
  return ExitCode::kDone;
}

// streams
// -----------------------------------------------------------------------------------------

Result<ExitCode> streams(const Context& context, const EventsOptions& options) {
  const auto opened = open(context, "events streams", options.topic);
  if (!opened) return std::unexpected(opened.error());
  Table table{{{"STREAM", "stream"},
               {"VERSION", "version", Align::kRight},
               {"EVENTS", "events", Align::kRight},
               {"FIRST", "first_version", Align::kRight},
               {"STATE", "state"},
               {"PARTITION", "partition", Align::kRight}}};
  std::uint64_t left = options.count == 0 ? ~std::uint64_t{0} : options.count;
  for (StreamListPosition position; left != 0 && !position.at_end;) {
    const auto page = opened->store->list(position, kPage);
    if (!page) return std::unexpected(page.error());
    for (const StreamRow& row : *page) {
      if (row.id.starts_with('$') && !options.all) continue;
      if (left-- == 0) break;
      const bool deleted = row.info.state == StreamInfo::State::kDeleted;
      table.add({row.id.empty() ? empty_cell() : text_cell(row.id), number_cell(row.info.version),
                 number_cell(row.info.events()), number_cell(row.info.first),
                 text_cell(deleted ? "deleted" : "ok"), number_cell(row.partition)});
      if (left == 0) break;
    }
  }
  return context.show(table);
}

void add_append(CLI::App& events, Context& context) {
  CLI::App* command =
      add_command(events, "append", "Append events to a stream, one per line of stdin, all or none",
                  "  echo '{\"sku\":7}' | mallbots events append carts cart-17 --expect 4\n"
                  "  mallbots events append carts cart-18 --expect none < events.jsonl\n");
  auto options = std::make_shared<EventsOptions>();
  command->add_option("TOPIC", options->topic, "A topic with type=events")->required();
  command->add_option("STREAM", options->stream, "The stream's id")->required();
  command->add_option("--expect", options->expect, "What must be there")
      ->capture_default_str()
      ->type_name("any|none|exists|N");
  command->add_flag("--internal", options->internal, "Only readers of the stream get them");
  command->add_option("-H", options->headers, "A header of every event; may be repeated")
      ->type_name("NAME=VALUE")
      ->expected(1)
      ->take_all();
  command->add_option("--acks", options->acks, "What to wait for (default: durable)")
      ->transform(CLI::CheckedTransformer(std::map<std::string, Acks>{
          {"committed", Acks::kCommitted}, {"durable", Acks::kDurable}}))
      ->option_text("committed|durable");
  set_action(command, context, [options, &context] { return append(context, *options); });
}

void add_read(CLI::App& events, Context& context) {
  CLI::App* command =
      add_command(events, "read", "Print the events of a stream",
                  "  mallbots events read carts cart-17\n"
                  "  mallbots events read carts cart-17 --backward -n 1 -f '%v %s\\n'\n");
  auto options = std::make_shared<EventsOptions>();
  command->add_option("TOPIC", options->topic, "A topic with type=events")->required();
  command->add_option("STREAM", options->stream, "The stream's id")->required();
  command->add_flag("--backward", options->backward, "From the last event to the first");
  command->add_option("--from", options->from, "The version to begin with")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  command->add_option("-n", options->count, "End after so many events")
      ->check(CLI::PositiveNumber)
      ->type_name("COUNT");
  command->add_option("--read", options->durable, "Which events (default: durable)")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, bool>{{"committed", false}, {"durable", true}}))
      ->option_text("committed|durable");
  CLI::Option* pattern =
      command->add_option("-f", options->pattern, "How an event is printed: %v %s %T %h ...")
          ->capture_default_str()
          ->type_name("FORMAT");
  command->add_flag("-J", options->json, "One JSON object per event")->excludes(pattern);
  set_action(command, context, [options, &context] { return read(context, *options); });
}

void add_streams(CLI::App& events, Context& context) {
  CLI::App* command = add_command(events, "streams", "List the streams of a topic",
                                  "  mallbots events streams carts -n 20\n");
  auto options = std::make_shared<EventsOptions>();
  command->add_option("TOPIC", options->topic, "A topic with type=events")->required();
  command->add_option("-n", options->count, "End after so many streams")
      ->check(CLI::PositiveNumber)
      ->type_name("COUNT");
  command->add_flag("--all", options->all, "Also MallBots' own");
  set_action(command, context, [options, &context] { return streams(context, *options); });
}

}  // namespace

void add_events(CLI::App& root, Context& context) {
  CLI::App* events = add_command(root, "events", "Append to and read streams of events",
                                 "  mallbots events read carts cart-17\n");
  events->require_subcommand(1);
  add_append(*events, context);
  add_read(*events, context);
  add_streams(*events, context);
}

}  // namespace mallbots::client::cli
