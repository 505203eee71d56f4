#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <set>

#include "clients/cli/command.h"
#include "clients/cli/in_flight.h"
#include "clients/cli/line_reader.h"
#include "clients/cli/record_format.h"
#include "clients/cli/session.h"
#include "clients/cli/settings.h"
#include "clients/cli/units.h"
#include "clients/producer.h"
#include "shm/region/fd.h"

namespace mallbots::client::cli {
namespace {

constexpr std::size_t kMostInFlight = 65'536;
constexpr std::size_t kMostBytesInFlight = 64ull << 20;
constexpr std::int64_t kProgressMs = 250;
/// How long one look at the oldest record may wait for the disk; others are looked at between.
constexpr std::int64_t kLookMs = 20;

struct ProduceOptions {
  std::string topic;
  std::string key;
  std::string delimiter;
  std::vector<std::string> headers;
  std::optional<std::uint32_t> partition;
  Acks acks = Acks::kCommitted;
  std::optional<std::uint64_t> expect_offset;
  std::int64_t timeout_ms = 60'000;
  std::string report;
  std::string delay;
  std::string at;
  std::optional<std::int64_t> delay_ms;
  std::optional<UnixMillis> deliver_at;

  [[nodiscard]] bool is_delayed() const noexcept { return delay_ms || deliver_at; }
  std::string producer;  ///< name; empty: none
};

/// The file of --report: whole lines only, each after its acknowledgement.
class Report {
 public:
  [[nodiscard]] Result<void> open(const std::string& path) {
    if (path.empty()) return {};
    path_ = path;
    fd_ = shm::UniqueFd{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
    if (!fd_) return fail(ErrorCode::kIo, fmt::format("{}: {}", path, std::strerror(errno)));
    return {};
  }
  void add(std::uint64_t line, const Receipt& receipt) {
    if (fd_)
      fmt::format_to(std::back_inserter(text_), "{} {} {}\n", line,
                     receipt.delayed ? "delayed" : std::to_string(receipt.partition),
                     receipt.offset);
  }
  [[nodiscard]] std::size_t pending_bytes() const noexcept { return text_.size(); }
  [[nodiscard]] Result<void> flush() {
    for (std::string_view rest = text_; !rest.empty();) {
      const ssize_t written = ::write(fd_.get(), rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0)
        return fail(ErrorCode::kIo, fmt::format("{}: {}", path_, std::strerror(errno)));
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
    text_.clear();
    return {};
  }

 private:
  std::string path_;
  shm::UniqueFd fd_;
  std::string text_;
};

/// One run of `produce`.
class Production {
 public:
  Production(const ProduceOptions& options, Producer& producer)
      : options_(options),
        producer_(producer),
        shows_progress_(isatty(STDERR_FILENO) != 0),
        started_ns_(boot_now_ns()),
        next_in_turn_(static_cast<PartitionIndex>(started_ns_ / 1000 % producer.partitions())),
        sequences_(producer.partitions()),
        lines_(producer.partitions()),
        accepted_before_(producer.partitions()) {}

  [[nodiscard]] Result<void> prepare() {
    for (const std::string& text : options_.headers) {
      auto pair = split_pair(text, "header");
      if (!pair) return std::unexpected(pair.error());
      header_texts_.push_back(std::move(*pair));
    }
    for (const auto& [name, value] : header_texts_) headers_.push_back({name, value});
    if (options_.partition && *options_.partition >= producer_.partitions())
      return fail(ErrorCode::kBadPartition,
                  fmt::format("topic {} has no partition {}, only 0 to {}", options_.topic,
                              *options_.partition, producer_.partitions() - 1));
    if (options_.expect_offset) {
      if (!options_.partition && producer_.partitions() != 1)
        return fail(ErrorCode::kBadArgument,
                    fmt::format("--expect-offset needs -p: topic {} has {} partitions",
                                options_.topic, producer_.partitions()));
      expected_ = *options_.expect_offset;
    }
    if (!options_.producer.empty()) MALLBOTS_TRY(resume());
    return report_.open(options_.report);
  }

  /// Every line of stdin. What was appended is waited for also if a later line fails.
  [[nodiscard]] Result<void> run() {
    Result<void> outcome = read_and_append();
    Result<void> waited = drain();
    Result<void> reported = report_.flush();
    if (!outcome) return outcome;
    return waited ? reported : waited;
  }

  void print_summary(const Context& context) const {
    const double seconds = static_cast<double>(boot_now_ns() - started_ns_) / 1e9;
    const double per_s = static_cast<double>(acknowledged_) / std::max(seconds, 1e-6);
    if (shows_progress_) fmt::print(stderr, "\r\x1b[K");
    if (!options_.producer.empty())
      fmt::print(stderr, "{} lines had been accepted before\n", skipped_);
    fmt::print(stderr, "{} records, {} partitions, {:.0f} records/s\n", acknowledged_,
               partitions_.size(), per_s);
    if (!context.json()) return;
    Json json{{"records", acknowledged_},
              {"partitions", partitions_.size()},
              {"seconds", seconds},
              {"records_per_s", static_cast<std::uint64_t>(per_s)}};
    if (!options_.producer.empty()) json["accepted_before"] = skipped_;
    (void)print(json.dump() + "\n");
  }

 private:
  /// Where the name stands in each partition; what is skipped then can be lost no more.
  [[nodiscard]] Result<void> resume() {
    MALLBOTS_TRY(producer_.prepare());
    if (options_.acks == Acks::kDurable)
      MALLBOTS_TRY(producer_.flush(Deadline::after_ms(options_.timeout_ms)));
    for (PartitionIndex i = 0; i < producer_.partitions(); ++i)
      sequences_[i] = accepted_before_[i] = producer_.last_sequence(i);
    next_in_turn_ = producer_.partitions() - 1;  // the first line without key goes to partition 0
    return {};
  }

  [[nodiscard]] Result<void> read_and_append() {
    LineReader lines{STDIN_FILENO, producer_.record_max_bytes()};
    std::string_view line;
    while (true) {
      const auto outcome = lines.next(line, in_flight_.empty() && report_.pending_bytes() == 0);
      if (!outcome) return std::unexpected(outcome.error());
      if (*outcome == LineReader::Outcome::kEnd) return {};
      if (*outcome == LineReader::Outcome::kNotYet) {
        MALLBOTS_TRY(report_.flush());
        if (!in_flight_.empty()) MALLBOTS_TRY(wait_for_oldest());
        continue;
      }
      MALLBOTS_TRY(append(lines.line_number(), line));
      while (in_flight_.records() >= kMostInFlight || in_flight_.bytes() >= kMostBytesInFlight)
        MALLBOTS_TRY(wait_for_oldest());
      if (lines.line_number() % 64 == 0) {
        MALLBOTS_TRY(collect());
        show_progress();
      }
    }
  }

  [[nodiscard]] Result<void> append(std::uint64_t number, std::string_view line) {
    std::string_view key = options_.key;
    if (!options_.delimiter.empty()) {
      const auto at = line.find(options_.delimiter);
      if (at != std::string_view::npos) {
        key = line.substr(0, at);
        line.remove_prefix(at + options_.delimiter.size());
      }
    }
    Flying record;
    record.line = number;
    record.key = key;
    record.payload = line;
    record.deadline = Deadline::after_ms(options_.timeout_ms);
    const PartitionIndex partition = partition_for(key);
    record.receipt.partition = partition;
    if (!options_.producer.empty() && ++lines_[partition] <= accepted_before_[partition]) {
      ++skipped_;
      return {};
    }
    record.receipt.offset = expected_;
    if (expected_ != kNoOffset) ++expected_;
    if (options_.acks == Acks::kDurable && !options_.is_delayed())
      return append_durable(std::move(record));
    const auto receipt = send(record, options_.producer.empty() ? 0 : lines_[partition]);
    if (!receipt) return std::unexpected(receipt.error());
    acknowledge(number, *receipt);
    return report_.pending_bytes() < 4096 ? Result<void>{} : report_.flush();
  }

  [[nodiscard]] PartitionIndex partition_for(std::string_view key) {
    if (options_.partition) return *options_.partition;
    if (!key.empty()) return producer_.partition_of(as_bytes(key));
    return next_in_turn_ = (next_in_turn_ + 1) % producer_.partitions();
  }

  /// One append; receipt.offset is the offset that it must get. `sequence` 0: the next one.
  [[nodiscard]] Result<Receipt> send(const Flying& flying, std::uint64_t sequence) {
    Record record;
    record.key = as_bytes(flying.key);
    record.payload = as_bytes(flying.payload);
    record.headers = headers_;
    SendOptions how;
    how.deadline = flying.deadline;
    how.partition = flying.receipt.partition;
    // The wait for the disk is ours: other records go on meanwhile.
    how.acks = options_.acks == Acks::kNone ? Acks::kNone : Acks::kCommitted;
    how.expected_offset = options_.expect_offset ? flying.receipt.offset : kNoOffset;
    how.sequence = sequence;
    how.delay_ms = options_.delay_ms;
    how.deliver_at = options_.deliver_at;
    if (options_.is_delayed()) how.acks = options_.acks;
    const auto receipt = producer_.append(record, how);
    if (!receipt)
      return fail(receipt.error().code,
                  fmt::format("line {}: {}", flying.line, receipt.error().detail));
    return receipt;
  }

  /// Sequences are counted here: a partition that has lost records together with its memory then
  /// refuses what follows them, until they are sent again.
  [[nodiscard]] Result<void> append_durable(Flying record) {
    const PartitionIndex partition = record.receipt.partition;
    std::deque<Flying> unsent;
    unsent.push_back(std::move(record));
    return send_in_order(partition, std::move(unsent));
  }

  [[nodiscard]] Result<void> send_in_order(PartitionIndex partition, std::deque<Flying> unsent) {
    while (!unsent.empty()) {
      const auto receipt = send(unsent.front(), sequences_[partition] + 1);
      if (receipt) {
        ++sequences_[partition];
        unsent.front().receipt = *receipt;
        in_flight_.add(std::move(unsent.front()));
        unsent.pop_front();
      } else if (receipt.error().code == ErrorCode::kOutOfSequence) {
        auto lost = take_lost(partition);
        if (!lost) return std::unexpected(lost.error());
        unsent.insert(unsent.begin(), std::move_iterator{lost->begin()},
                      std::move_iterator{lost->end()});
        sequences_[partition] = producer_.last_sequence(partition);
      } else {
        return std::unexpected(receipt.error());
      }
    }
    return {};
  }

  /// Takes off what went with the memory: the records in flight from the first one lost on. What
  /// reached the disk stays in flight, to be acknowledged.
  [[nodiscard]] Result<std::deque<Flying>> take_lost(PartitionIndex partition) {
    if (!in_flight_.by_partition().contains(partition)) return std::deque<Flying>{};
    std::deque<Flying> queue = in_flight_.take_all(partition);
    std::size_t kept = 0;
    for (std::size_t end = queue.size(); kept < end;) {
      const std::size_t middle = kept + (end - kept) / 2;
      const auto lost = is_lost(queue[middle]);
      if (!lost) return std::unexpected(lost.error());
      if (*lost)
        end = middle;
      else
        kept = middle + 1;
    }
    for (; kept > 0; --kept) {
      in_flight_.add(std::move(queue.front()));
      queue.pop_front();
    }
    return queue;
  }

  [[nodiscard]] Result<bool> is_lost(const Flying& record) {
    while (true) {
      const auto durable = producer_.wait_durable(record.receipt, Deadline::after_ms(1'000));
      if (durable) return false;
      const ErrorCode code = durable.error().code;
      if (code == ErrorCode::kTruncated) return true;
      if (code == ErrorCode::kNotDurable) return false;
      if (!is_patient(code) || record.deadline.has_passed())
        return fail(code, fmt::format("line {}: {}", record.line, durable.error().detail));
    }
  }

  /// A broker that restarts is waited for.
  static bool is_patient(ErrorCode code) {
    return code == ErrorCode::kNotDurable || code == ErrorCode::kTimeout ||
           code == ErrorCode::kConnectionLost;
  }

  void acknowledge(std::uint64_t line, const Receipt& receipt) {
    ++acknowledged_;
    partitions_.insert(receipt.partition);
    if (options_.acks != Acks::kNone) report_.add(line, receipt);
  }

  /// Acknowledges what has become durable meanwhile; does not wait.
  [[nodiscard]] Result<void> collect() {
    std::vector<PartitionIndex> partitions;
    for (const auto& [partition, queue] : in_flight_.by_partition())
      partitions.push_back(partition);
    for (const PartitionIndex partition : partitions) {
      const auto& queue = in_flight_.by_partition().at(partition);
      const std::size_t count = InFlight::candidates(queue, producer_.durable_offset(partition));
      if (count == 0) continue;
      // An offset alone may name another record after the memory was lost: ask by receipt.
      const auto durable =
          producer_.wait_durable(queue[count - 1].receipt, Deadline::after_ms(kLookMs));
      if (durable)
        acknowledge_front(partition, count);
      else if (durable.error().code == ErrorCode::kTruncated)
        MALLBOTS_TRY(send_lost_again(partition));
    }
    return report_.pending_bytes() == 0 ? Result<void>{} : report_.flush();
  }

  /// Waits a moment for the record that was appended first.
  [[nodiscard]] Result<void> wait_for_oldest() {
    for (const auto& [partition, queue] : in_flight_.by_partition())
      producer_.ask_for_flush(partition);
    const PartitionIndex partition = in_flight_.oldest();
    const Flying& first = in_flight_.by_partition().at(partition).front();
    const std::uint64_t line = first.line;
    const bool too_late = first.deadline.has_passed();
    const auto durable = producer_.wait_durable(first.receipt, Deadline::after_ms(kLookMs));
    show_progress();
    if (durable) {
      acknowledge_front(partition, 1);
      return collect();
    }
    const ErrorCode code = durable.error().code;
    if (code == ErrorCode::kTruncated) return send_lost_again(partition);
    if (is_patient(code) && !too_late) return collect();
    return fail(code, fmt::format("line {}: {}", line, durable.error().detail));
  }

  void acknowledge_front(PartitionIndex partition, std::size_t count) {
    for (; count > 0; --count) {
      const Flying record = in_flight_.take_front(partition);
      acknowledge(record.line, record.receipt);
    }
  }

  [[nodiscard]] Result<void> send_lost_again(PartitionIndex partition) {
    auto lost = take_lost(partition);
    if (!lost) return std::unexpected(lost.error());
    sequences_[partition] = producer_.last_sequence(partition);
    return send_in_order(partition, std::move(*lost));
  }

  [[nodiscard]] Result<void> drain() {
    while (!in_flight_.empty()) MALLBOTS_TRY(wait_for_oldest());
    return {};
  }

  void show_progress() {
    if (!shows_progress_) return;
    const BootNanos now = boot_now_ns();
    if (now < next_progress_ns_) return;
    next_progress_ns_ = now + kProgressMs * kMillisecond;
    const double seconds = static_cast<double>(now - started_ns_) / 1e9;
    fmt::print(stderr, "\r\x1b[K{} records, {:.0f} records/s, {} not yet acknowledged",
               acknowledged_, static_cast<double>(acknowledged_) / std::max(seconds, 1e-6),
               in_flight_.records());
  }

  const ProduceOptions& options_;
  Producer& producer_;
  bool shows_progress_;
  BootNanos started_ns_;
  BootNanos next_progress_ns_ = 0;
  PartitionIndex next_in_turn_;           ///< not always from 0: many short inputs spread, too
  std::vector<std::uint64_t> sequences_;  ///< last one sent, by partition
  std::vector<std::uint64_t> lines_;      ///< so far, by partition; with a name their sequences
  std::vector<std::uint64_t> accepted_before_;  ///< of those
  std::uint64_t skipped_ = 0;
  std::vector<std::pair<std::string, std::string>> header_texts_;
  std::vector<Header> headers_;
  Offset expected_ = kNoOffset;
  Report report_;
  InFlight in_flight_;
  std::uint64_t acknowledged_ = 0;
  std::set<PartitionIndex> partitions_;
};

Result<void> parse_delay(ProduceOptions& options) {
  if (!options.delay.empty()) {
    const auto delay_ms = parse_duration_ms(options.delay);
    if (!delay_ms) return std::unexpected(delay_ms.error());
    options.delay_ms = *delay_ms;
  }
  if (!options.at.empty()) {
    const auto at = parse_time(options.at, wall_now_ms());
    if (!at) return std::unexpected(at.error());
    options.deliver_at = *at;
  }
  return {};
}

Result<ExitCode> produce(const Context& context, ProduceOptions options) {
  auto delimiter = unescape(options.delimiter);
  if (!delimiter) return std::unexpected(delimiter.error());
  options.delimiter = std::move(*delimiter);
  MALLBOTS_TRY(parse_delay(options));
  const auto connection =
      connect(context, "produce", std::clamp<std::int64_t>(options.timeout_ms, 1'000, 600'000));
  if (!connection) return std::unexpected(connection.error());
  const auto producer = Producer::open(**connection, options.topic, {.name = options.producer});
  if (!producer) return std::unexpected(producer.error());
  if (options.acks == Acks::kDurable && !options.is_delayed() && (*producer)->is_memory_only())
    return fail(ErrorCode::kUnsupported,
                fmt::format("topic {} has storage=memory: nothing in it is ever durable; use "
                            "--acks committed",
                            options.topic));
  Production production{options, **producer};
  MALLBOTS_TRY(production.prepare());
  const Result<void> done = production.run();
  production.print_summary(context);
  if (!done) return std::unexpected(done.error());
  return ExitCode::kDone;
}

void add_options(CLI::App* command, ProduceOptions& options) {
  command->add_option("TOPIC", options.topic, "Where the records go")->required();
  CLI::Option* key =
      command->add_option("-k", options.key, "The key of every record")->type_name("KEY");
  command->add_option("-K", options.delimiter, "The key stands before the first DELIM of the line")
      ->excludes(key)
      ->type_name("DELIM");
  command->add_option("-H", options.headers, "A header of every record; may be repeated")
      ->allow_extra_args(false)
      ->type_name("NAME=VALUE");
  command->add_option("-p", options.partition, "Every record goes to this partition")
      ->type_name("PARTITION");
  command->add_option("--acks", options.acks, "What to wait for (default: committed)")
      ->transform(CLI::CheckedTransformer(std::map<std::string, Acks>{
          {"none", Acks::kNone}, {"committed", Acks::kCommitted}, {"durable", Acks::kDurable}}))
      ->option_text("none|committed|durable");
  CLI::Option* delay =
      command->add_option("--delay", options.delay, "Deliver every record so long after its line")
          ->type_name("DURATION");
  CLI::Option* at = command->add_option("--at", options.at, "Deliver every record at that time")
                        ->excludes(delay)
                        ->type_name("TIME");
  CLI::Option* expect = command
                            ->add_option("--expect-offset", options.expect_offset,
                                         "The offset that the first record must get")
                            ->type_name("N");
  command
      ->add_option("--producer", options.producer,
                   "Resume under this name: lines accepted before are skipped")
      ->excludes(expect)
      ->excludes(delay)
      ->excludes(at)
      ->type_name("NAME");
  command->add_option("--timeout", options.timeout_ms, "How long one record may take, in ms")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber)
      ->type_name("MS");
  command
      ->add_option("--report", options.report,
                   "Gets a line per acknowledged record: line number, "
                   "partition, offset")
      ->type_name("FILE");
}

}  // namespace

void add_produce(CLI::App& root, Context& context) {
  CLI::App* command =
      add_command(root, "produce", "Append the lines of stdin to a topic",
                  "  echo hello | mallbots produce orders -k customer-7\n"
                  "  mallbots produce orders -K, --acks durable --report done.txt < orders.csv\n");
  auto options = std::make_shared<ProduceOptions>();
  add_options(command, *options);
  set_action(command, context, [options, &context] { return produce(context, *options); });
}

}  // namespace mallbots::client::cli
