#include "clients/cli/consume_queue.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "clients/cli/line_reader.h"
#include "clients/cli/session.h"
#include "clients/cli/settlement_line.h"
#include "clients/cli/units.h"
#include "clients/queue_consumer.h"
#include "shm/base/clock.h"

namespace mallbots::client::cli {
namespace {

constexpr std::int64_t kIdleMs = 100;
/// Between two looks at stdin while somebody works on what was printed.
constexpr std::int64_t kLongestLookMs = 20;
constexpr std::int64_t kPatienceMs = 60'000;
constexpr BootNanos kQuietNs = kSecond;
constexpr std::size_t kMostAtOnce = 1024;
constexpr std::size_t kMostLinesAtOnce = 1024;
constexpr std::size_t kLineBytes = 64 * 1024;

/// True of what went wrong with one settlement; the others go on.
bool is_of_one_delivery(ErrorCode code) {
  return code == ErrorCode::kNotHeld || code == ErrorCode::kAlreadySettled ||
         code == ErrorCode::kFenced;
}

/// One run of `consume --queue`.
class QueueRun {
 public:
  QueueRun(const QueueOptions& options, const RecordPattern& pattern, QueueConsumer& consumer)
      : options_(options),
        pattern_(pattern),
        consumer_(consumer),
        is_manual_(options.ack == "manual") {}

  [[nodiscard]] Result<ExitCode> run() {
    quiet_since_ = boot_now_ns();
    while (!stop_requested() && !is_finished()) {
      MALLBOTS_TRY(take_records());
      tell_failures();
      if (!is_manual_) continue;
      const auto goes_on = settle_lines();
      if (!goes_on) return std::unexpected(goes_on.error());
      if (!*goes_on) break;
    }
    const auto confirmed = consumer_.flush(Deadline::after_ms(kPatienceMs));
    tell_failures();
    if (!confirmed && !is_of_one_delivery(confirmed.error().code))
      return std::unexpected(confirmed.error());
    return outcome_;
  }

 private:
  [[nodiscard]] bool counted_out() const {
    return options_.count != 0 && printed_ >= options_.count;
  }
  [[nodiscard]] bool is_finished() const {
    if (consumer_.in_flight() != 0) return false;
    return counted_out() || (options_.to_end && boot_now_ns() - quiet_since_ >= kQuietNs);
  }

  [[nodiscard]] Result<void> take_records() {
    const bool is_waited_for = is_manual_ && consumer_.in_flight() != 0;
    const Deadline deadline = Deadline::after_ms(is_waited_for ? look_ms_ : kIdleMs);
    look_ms_ = std::min(2 * look_ms_, kLongestLookMs);
    std::vector<QueueMessage> messages;
    if (counted_out()) {
      MALLBOTS_TRY(consumer_.pump());
      consumer_.wait(deadline);
    } else {
      const std::uint64_t wanted = options_.count == 0 ? kMostAtOnce : options_.count - printed_;
      auto polled = consumer_.poll(
          deadline, static_cast<std::size_t>(std::min<std::uint64_t>(wanted, kMostAtOnce)));
      if (!polled) return std::unexpected(std::move(polled).error());
      messages = std::move(*polled);
    }
    if (!messages.empty()) MALLBOTS_TRY(print_all(messages));
    if (!messages.empty() || consumer_.in_flight() != 0) quiet_since_ = boot_now_ns();
    return {};
  }

  [[nodiscard]] Result<void> print_all(const std::vector<QueueMessage>& messages) {
    out_.clear();
    for (const QueueMessage& message : messages) render(message);
    if (!print(out_)) {
      // Nobody has seen them for sure: no attempt.
      for (const QueueMessage& message : messages) tell(consumer_.release(message.token()));
      return fail(ErrorCode::kIo, "stdout does not take the records");
    }
    printed_ += messages.size();
    look_ms_ = 1;
    if (!is_manual_)
      for (const QueueMessage& message : messages) tell(consumer_.ack(message.token()));
    return {};
  }

  void render(const QueueMessage& message) {
    RecordText record = text_of(*message, headers_);
    std::string token;
    if (is_manual_) {
      token = token_text(message.token());
      record.token = token;
      record.attempt = message.attempt;
    }
    if (options_.json) return render_json(record, out_);
    if (is_manual_) out_ += token + '\t';
    pattern_.render(record, out_);
  }

  /// The lines that are there; false at the end of stdin.
  [[nodiscard]] Result<bool> settle_lines() {
    for (std::size_t i = 0; i < kMostLinesAtOnce; ++i) {
      std::string_view line;
      const auto outcome = lines_.next(line, false);
      if (!outcome) return std::unexpected(outcome.error());
      if (*outcome == LineReader::Outcome::kEnd) return false;
      if (*outcome == LineReader::Outcome::kNotYet) return true;
      look_ms_ = 1;
      const auto settlement = parse_settlement_line(line);
      if (settlement)
        tell(settle(*settlement));
      else
        tell(std::unexpected(settlement.error()));
    }
    return true;
  }

  [[nodiscard]] Result<void> settle(const SettlementLine& line) {
    switch (line.verb) {
      case SettlementLine::Verb::kAck:
        return consumer_.ack(line.token);
      case SettlementLine::Verb::kNack:
        return consumer_.nack(line.token, line.delay_ms);
      case SettlementLine::Verb::kReject:
        return consumer_.reject(line.token, {.type = {}, .text = line.reason, .handler = {}});
      case SettlementLine::Verb::kExtend:
        return consumer_.extend(line.token);
    }
    return {};
  }

  void tell_failures() {
    for (const FailedSettlement& failure : consumer_.take_failures())
      tell(fail(failure.code, token_text(failure.token)));
  }

  void tell(const Result<void>& settled) {
    if (settled) return;
    outcome_ = std::max(outcome_, error_entry(settled.error().code).exit_code);
    fmt::print(stderr, "mallbots: {}\n", printable(settled.error().sentence()));
  }

  const QueueOptions& options_;
  const RecordPattern& pattern_;
  QueueConsumer& consumer_;
  const bool is_manual_;
  LineReader lines_{STDIN_FILENO, kLineBytes};
  std::uint64_t printed_ = 0;
  std::int64_t look_ms_ = 1;
  BootNanos quiet_since_ = 0;
  std::string out_;
  std::vector<std::pair<std::string_view, std::string_view>> headers_;
  ExitCode outcome_ = ExitCode::kDone;
};

}  // namespace

CLI::Option* add_queue_options(CLI::App* command, QueueOptions& options) {
  CLI::Option* queue =
      command->add_option("--queue", options.group, "Read as a member of this queue")
          ->check([](const std::string& name) { return name.empty() ? "it has no name" : ""; })
          ->type_name("GROUP");
  command
      ->add_option("--ack", options.ack,
                   "In a queue, what acknowledges: stdout has it, or lines on stdin")
      ->check(CLI::IsMember({"auto", "manual"}))
      ->needs(queue)
      ->option_text("auto|manual [auto]");
  command->add_option("--lock", options.lock, "In a queue, how long a record is held")
      ->needs(queue)
      ->capture_default_str()
      ->type_name("DURATION");
  command->add_option("--in-flight", options.in_flight, "In a queue, so many at most are held")
      ->check(CLI::Range(1, 4096))
      ->needs(queue)
      ->capture_default_str()
      ->type_name("N");
  command
      ->add_option("--max-deliveries", options.max_deliveries,
                   "In a queue, a dead letter after so many failed deliveries (0: never)")
      ->needs(queue)
      ->capture_default_str()
      ->type_name("N");
  return queue;
}

Result<ExitCode> consume_queue(const Context& context, const QueueOptions& options,
                               const RecordPattern& pattern) {
  const auto lock_ms = parse_duration_ms(options.lock);
  if (!lock_ms) return std::unexpected(lock_ms.error());
  if (*lock_ms < 10 || *lock_ms > 24 * 3'600'000)
    return fail(ErrorCode::kBadArgument,
                fmt::format("--lock {}: 10 ms to 24 h are allowed", options.lock));
  catch_stop_signals();
  const auto connection = connect(context, "consume", kPatienceMs);
  if (!connection) return std::unexpected(connection.error());
  QueueConsumerOptions how;
  how.lock_ms = static_cast<std::uint32_t>(*lock_ms);
  how.max_deliveries = options.max_deliveries;
  // What will not be printed is not kept from others.
  how.max_in_flight =
      options.count == 0
          ? options.in_flight
          : static_cast<std::uint32_t>(std::min<std::uint64_t>(options.in_flight, options.count));
  const auto consumer = QueueConsumer::open(**connection, how);
  if (!consumer) return std::unexpected(consumer.error());
  MALLBOTS_TRY((*consumer)->subscribe(options.topics, options.group));
  return QueueRun{options, pattern, **consumer}.run();
}

}  // namespace mallbots::client::cli
