#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "clients/admin.h"
#include "clients/cli/command.h"
#include "clients/cli/consume_queue.h"
#include "clients/cli/offsets.h"
#include "clients/cli/record_format.h"
#include "clients/cli/session.h"
#include "clients/consumer.h"

namespace mallbots::client::cli {
namespace {

constexpr std::int64_t kPollMs = 100;
constexpr std::int64_t kPatienceMs = 60'000;

struct ConsumeOptions {
  std::vector<std::string> topics;
  std::string from;
  std::optional<std::uint32_t> partition;
  std::string group;
  ReadLevel read = ReadLevel::kDefault;
  std::uint64_t count = 0;  ///< 0: without end
  bool to_end = false;
  std::string pattern = "%s\\n";
  bool json = false;
  bool internal = false;
  QueueOptions queue;
};

using Key = std::pair<std::string, PartitionIndex>;
Key key_of(const TopicPartition& partition) { return {partition.topic, partition.partition}; }

/// One run of `consume`.
class Consumption {
 public:
  Consumption(const ConsumeOptions& options, RecordPattern pattern, Connection& connection,
              Consumer& consumer)
      : options_(options),
        pattern_(std::move(pattern)),
        connection_(connection),
        consumer_(consumer) {}

  [[nodiscard]] Result<void> start(const StartPoint& from) {
    if (options_.group.empty()) {
      for (const std::string& topic : options_.topics) MALLBOTS_TRY(assign(topic, from));
      return {};
    }
    if (options_.to_end) MALLBOTS_TRY(note_group_ends());
    return consumer_.subscribe(options_.topics, options_.group);
  }

  [[nodiscard]] Result<ExitCode> run() {
    while (!stop_requested() && !counted_out()) {
      const auto ended = is_at_end();
      if (!ended) return std::unexpected(ended.error());
      if (*ended) break;
      const std::uint64_t wanted = options_.count == 0 ? 1024 : options_.count - printed_;
      const auto messages =
          consumer_.poll(Deadline::after_ms(kPollMs),
                         static_cast<std::size_t>(std::min<std::uint64_t>(wanted, 1024)));
      if (!messages) {
        if (!is_setback(messages.error().code)) return std::unexpected(messages.error());
        tell(messages.error());
        continue;
      }
      was_idle_ = messages->empty();
      MALLBOTS_TRY(print_and_commit(*messages));
    }
    return outcome_;
  }

 private:
  [[nodiscard]] bool counted_out() const {
    return options_.count != 0 && printed_ >= options_.count;
  }

  [[nodiscard]] Result<void> assign(const std::string& topic, const StartPoint& from) {
    using Kind = StartPoint::Kind;
    std::vector<PartitionIndex> only;
    if (options_.partition) only.push_back(*options_.partition);
    const bool later = from.kind == Kind::kBack;
    const Start start = from.kind == Kind::kEnd              ? Start::end()
                        : from.kind == Kind::kTime           ? Start::time(from.time_ms)
                        : from.kind == Kind::kStart || later ? Start::oldest()
                                                             : Start::offset(from.offset);
    MALLBOTS_TRY(consumer_.assign(topic, only, start));
    for (const TopicPartition& partition : consumer_.assignment()) {
      if (partition.topic != topic) continue;
      if (later || options_.to_end) {
        const auto range = consumer_.range(partition);
        if (!range) return std::unexpected(range.error());
        if (options_.to_end) stops_[key_of(partition)] = range->end;
        const Offset back = range->end - std::min(range->end, from.offset);
        if (later)
          MALLBOTS_TRY(consumer_.seek(partition, Start::offset(std::max(back, range->start))));
      }
      if (from.kind == Kind::kRange) {
        const auto stop = stops_.try_emplace(key_of(partition), from.until).first;
        stop->second = std::min(stop->second, from.until);
      }
    }
    return {};
  }

  [[nodiscard]] Result<void> note_group_ends() {
    for (const std::string& topic : options_.topics) {
      const auto description = Admin{connection_}.describe_topic(topic);
      if (!description) return std::unexpected(description.error());
      for (const PartitionDescription& row : description->partitions)
        stops_[{topic, row.partition}] = row.end_offset;
    }
    return {};
  }

  /// True if every partition that this reader has is where it is to stop. Partitions that are
  /// there are paused, so that the others get the turns.
  [[nodiscard]] Result<bool> is_at_end() {
    if (stops_.empty()) return false;
    bool all = true;
    const std::vector<TopicPartition> mine = consumer_.assignment();
    for (const TopicPartition& partition : mine) {
      const auto stop = stops_.find(key_of(partition));
      const auto position = consumer_.position(partition);
      if (stop == stops_.end() || !position) continue;
      if (position->offset < stop->second) {
        all = false;
      } else if (options_.group.empty()) {
        MALLBOTS_TRY(consumer_.pause(partition));
      }
    }
    if (!mine.empty() || options_.group.empty()) return all;
    return was_idle_ ? group_is_at_end() : Result<bool>{false};
  }

  /// A member without partitions ends when the others have read everything.
  [[nodiscard]] Result<bool> group_is_at_end() {
    const auto rows = Admin{connection_}.describe_group(options_.group);
    if (!rows) return std::unexpected(rows.error());
    std::size_t known = 0;
    for (const GroupPartition& row : *rows) {
      const auto stop = stops_.find({row.topic, row.partition});
      if (stop == stops_.end()) continue;
      ++known;
      const bool empty = row.lag == 0;
      if (!empty && row.current_offset.value_or(0) < stop->second) return false;
    }
    return known == stops_.size();
  }

  [[nodiscard]] Result<void> print_and_commit(std::span<const Message> messages) {
    out_.clear();
    std::map<Key, const Message*> last;
    for (const Message& message : messages) {
      if (!stops_.empty()) {
        const auto stop = stops_.find({std::string{message.topic}, message.partition});
        if (stop != stops_.end() && message.offset >= stop->second) continue;
      }
      render(message);
      ++printed_;
      if (!options_.group.empty()) last[{std::string{message.topic}, message.partition}] = &message;
    }
    if (!out_.empty() && !print(out_))
      return fail(ErrorCode::kIo, "stdout does not take the records");
    for (const auto& [key, message] : last) {
      const auto committed = consumer_.commit(*message);
      // Another member has the partition now, and will read these records again.
      if (!committed && committed.error().code != ErrorCode::kFenced)
        return std::unexpected(committed.error());
    }
    return {};
  }

  void render(const Message& message) {
    const RecordText record = text_of(message, headers_);
    if (options_.json)
      render_json(record, out_);
    else
      pattern_.render(record, out_);
  }

  void tell(const Error& error) {
    const Setback& setback = consumer_.setback();
    if (setback.code == ErrorCode::kViewExpired) return;  // what it showed is printed already
    const int code = static_cast<int>(error_entry(error.code).exit_code);
    outcome_ = static_cast<ExitCode>(std::max(code, static_cast<int>(outcome_)));
    fmt::print(stderr, "mallbots: {} partition {}, offsets {} to {}: {}\n",
               printable(setback.partition.topic), setback.partition.partition, setback.first,
               setback.end, printable(error.sentence()));
  }

  const ConsumeOptions& options_;
  RecordPattern pattern_;
  Connection& connection_;
  Consumer& consumer_;
  std::map<Key, Offset> stops_;  ///< first offset that is not to be printed
  std::uint64_t printed_ = 0;
  bool was_idle_ = true;
  std::string out_;
  std::vector<std::pair<std::string_view, std::string_view>> headers_;
  ExitCode outcome_ = ExitCode::kDone;
};

Result<ExitCode> consume(const Context& context, ConsumeOptions options) {
  options.json = options.json || context.json();
  auto pattern = RecordPattern::parse(options.pattern);
  if (!pattern) return std::unexpected(pattern.error());
  const auto from = parse_start_point(options.from.empty() ? "end" : options.from, wall_now_ms());
  if (!from) return std::unexpected(from.error());
  std::sort(options.topics.begin(), options.topics.end());
  const auto twice = std::unique(options.topics.begin(), options.topics.end());
  options.topics.erase(twice, options.topics.end());
  if (!options.queue.group.empty()) {
    options.queue.topics = options.topics;
    options.queue.count = options.count;
    options.queue.to_end = options.to_end;
    options.queue.json = options.json;
    return consume_queue(context, options.queue, *pattern);
  }

  catch_stop_signals();
  const auto connection = connect(context, "consume", kPatienceMs);
  if (!connection) return std::unexpected(connection.error());
  ConsumerOptions how;
  how.read = options.read;
  how.internal_events = options.internal;
  const auto consumer = Consumer::open(**connection, how);
  if (!consumer) return std::unexpected(consumer.error());
  Consumption consumption{options, std::move(*pattern), **connection, **consumer};
  MALLBOTS_TRY(consumption.start(*from));
  return consumption.run();
}

void add_options(CLI::App* command, ConsumeOptions& options) {
  command->add_option("TOPIC", options.topics, "What to read")->required();
  CLI::Option* group = command->add_option("-g", options.group, "Read as a member of this group")
                           ->type_name("GROUP");
  CLI::Option* queue = add_queue_options(command, options.queue)->excludes(group);
  command
      ->add_option("-o", options.from,
                   "Where to start: start, end, N, -N, A:B or @TIME (default: end)")
      ->excludes(group)
      ->excludes(queue)
      ->type_name("WHERE");
  command->add_option("-p", options.partition, "Only this partition")
      ->excludes(group)
      ->excludes(queue)
      ->type_name("N");
  command
      ->add_option("--read", options.read, "Which records (default: committed, in a group durable)")
      ->transform(CLI::CheckedTransformer(std::map<std::string, ReadLevel>{
          {"committed", ReadLevel::kCommitted}, {"durable", ReadLevel::kDurable}}))
      ->excludes(queue)
      ->option_text("committed|durable");
  command->add_option("-n", options.count, "End after so many records")
      ->check(CLI::PositiveNumber)
      ->type_name("COUNT");
  command->add_flag("-e", options.to_end, "End at the end that the partitions have now");
  command
      ->add_flag("--internal", options.internal, "Also events that their context keeps to itself")
      ->excludes(queue);
  CLI::Option* pattern =
      command->add_option("-f", options.pattern, "How a record is printed: %t %p %o %k %s ...")
          ->capture_default_str()
          ->type_name("FORMAT");
  command->add_flag("-J", options.json, "One JSON object per record")->excludes(pattern);
}

}  // namespace

void add_consume(CLI::App& root, Context& context) {
  CLI::App* command =
      add_command(root, "consume", "Print the records of topics",
                  "  mallbots consume orders                         # from now on\n"
                  "  mallbots consume orders -o start -e -f '%k,%s\\n'\n"
                  "  mallbots consume orders -o @-1h -J | jq .payload\n"
                  "  mallbots consume orders refunds -g billing\n"
                  "  mallbots consume parcels --queue depot -J       # each record to one member\n"
                  "  mallbots consume parcels --queue depot --ack manual --lock 5m\n");
  auto options = std::make_shared<ConsumeOptions>();
  add_options(command, *options);
  set_action(command, context, [options, &context] { return consume(context, *options); });
}

}  // namespace mallbots::client::cli
