#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <set>

#include "clients/admin.h"
#include "clients/cli/causal_tree.h"
#include "clients/cli/command.h"
#include "clients/cli/progress.h"
#include "clients/cli/session.h"
#include "clients/cli/units.h"
#include "clients/consumer.h"
#include "clients/toolkit/message.h"
#include "clients/toolkit/middleware/tracing.h"
#include "shm/base/clock.h"

namespace mallbots::client::cli {
namespace {

constexpr std::size_t kMaxMessages = 100'000;

struct TraceOptions {
  std::string id;
  std::vector<std::string> topics;
  std::string since;
  bool mermaid = false;
};

class Scan {
 public:
  using Visit = std::function<Result<void>(const Message&)>;

  Scan(Connection& connection, std::vector<std::string> topics, const Start& start)
      : connection_(&connection), topics_(std::move(topics)), start_(start) {}

  /// Everything that is there when it begins, a topic at a time.
  [[nodiscard]] Result<void> each(const Visit& visit) {
    Progress progress{"records read"};
    for (const std::string& topic : topics_) MALLBOTS_TRY(each_of(topic, visit, progress));
    return {};
  }

 private:
  [[nodiscard]] Result<void> each_of(const std::string& topic, const Visit& visit,
                                     Progress& progress) {
    auto consumer =
        Consumer::open(*connection_, {.read = ReadLevel::kCommitted, .internal_events = true});
    if (!consumer) return std::unexpected(consumer.error());
    MALLBOTS_TRY((*consumer)->assign(topic, {}, start_));
    std::vector<std::pair<TopicPartition, Offset>> ends;
    for (const TopicPartition& partition : (*consumer)->assignment()) {
      const auto range = (*consumer)->range(partition);
      if (!range) return std::unexpected(range.error());
      ends.emplace_back(partition, range->end);
    }
    const auto is_open = [&](const auto& end) {
      const auto position = (*consumer)->position(end.first);
      return position && position->offset < end.second;
    };
    while (std::ranges::any_of(ends, is_open) && !stop_requested()) {
      const auto messages = (*consumer)->poll(Deadline::after_ms(200));
      if (!messages && !is_setback(messages.error().code)) return std::unexpected(messages.error());
      if (!messages) continue;
      for (const Message& message : *messages) {
        MALLBOTS_TRY(visit(message));
        progress.tell(++records_);
      }
    }
    return {};
  }

  Connection* connection_;
  std::vector<std::string> topics_;
  Start start_;
  std::uint64_t records_ = 0;
};

std::string trace_of(const Message& message) {
  const auto context = toolkit::TraceContext::parse(message.trace_context());
  return context ? context->trace_id : std::string{};
}

/// What belongs to the request: found by any of its messages, known by these two.
struct Wanted {
  std::set<std::string, std::less<>> correlations;
  std::set<std::string, std::less<>> traces;

  [[nodiscard]] bool has(const std::string& correlation, const std::string& trace) const {
    return correlations.contains(correlation) || (!trace.empty() && traces.contains(trace));
  }
};

Result<std::vector<std::string>> topics_to_read(Connection& connection,
                                                const TraceOptions& options) {
  if (!options.topics.empty()) return options.topics;
  const auto listed = Admin{connection}.list_topics();
  if (!listed) return std::unexpected(listed.error());
  std::vector<std::string> names;
  for (const TopicSummary& topic : *listed) names.push_back(topic.name);
  return names;
}

Result<Wanted> find(Scan& scan, const std::string& id) {
  Wanted wanted;
  MALLBOTS_TRY(scan.each([&](const Message& record) -> Result<void> {
    const toolkit::Message message{record};
    const std::string correlation = message.correlation_id();
    const std::string trace = trace_of(record);
    if (message.id() != id && correlation != id && trace != id) return {};
    wanted.correlations.insert(correlation);
    if (!trace.empty()) wanted.traces.insert(trace);
    return {};
  }));
  return wanted;
}

Result<std::vector<TracedMessage>> collect(Scan& scan, const Wanted& wanted) {
  std::vector<TracedMessage> found;
  MALLBOTS_TRY(scan.each([&](const Message& record) -> Result<void> {
    const toolkit::Message message{record};
    std::string correlation = message.correlation_id();
    std::string trace = trace_of(record);
    if (!wanted.has(correlation, trace)) return {};
    if (found.size() == kMaxMessages)
      return fail(ErrorCode::kLimitReached, fmt::format("more than {} messages", kMaxMessages));
    found.push_back({.topic = std::string{record.topic},
                     .partition = record.partition,
                     .offset = record.offset,
                     .time_ms = record.timestamp_ms,
                     .id = message.id(),
                     .name = std::string{message.name()},
                     .key = std::string{record.key_text()},
                     .actor = std::string{message.header(toolkit::kMessageActor).value_or("")},
                     .correlation_id = std::move(correlation),
                     .causation_id = std::string{message.causation_id()},
                     .trace_id = std::move(trace)});
    return {};
  }));
  return found;
}

Result<ExitCode> trace(const Context& context, const TraceOptions& options) {
  Start start = Start::oldest();
  if (!options.since.empty()) {
    const auto since = parse_time(options.since, wall_now_ms());
    if (!since) return std::unexpected(since.error());
    start = Start::time(*since);
  }
  const auto connection = connect(context, "trace");
  if (!connection) return std::unexpected(connection.error());
  catch_stop_signals();
  auto topics = topics_to_read(**connection, options);
  if (!topics) return std::unexpected(topics.error());
  Scan scan{**connection, std::move(*topics), start};
  const auto wanted = find(scan, options.id);
  if (!wanted) return std::unexpected(wanted.error());
  if (wanted->correlations.empty())
    return fail(ErrorCode::kBadArgument,
                "ID: no message that was read is, belongs to, or was traced as " + options.id);
  auto messages = collect(scan, *wanted);
  if (!messages) return std::unexpected(messages.error());
  const CausalTree tree{std::move(*messages)};
  return context.show(tree.json(), options.mermaid ? tree.mermaid() : tree.text(terminal_width()));
}

}  // namespace

void add_trace(CLI::App& root, Context& context) {
  auto options = std::make_shared<TraceOptions>();
  CLI::App* command = add_command(root, "trace", "Draw what one request led to",
                                  "  mallbots trace 7f3c2a\n"
                                  "  mallbots trace 4bf92f3577b34da6a3ce929d0e0e4736 --mermaid\n"
                                  "  mallbots trace order-17 --since -1h --topic orders\n");
  command->add_option("ID", options->id, "Id of a message, correlation or trace")->required();
  command->add_option("--topic", options->topics, "Read these only; default: all");
  command->add_option("--since", options->since, "Records stamped at or after TIME");
  command->add_flag("--mermaid", options->mermaid, "As a Mermaid sequence diagram");
  set_action(command, context, [options, &context] { return trace(context, *options); });
}

}  // namespace mallbots::client::cli
