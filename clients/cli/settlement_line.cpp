#include "clients/cli/settlement_line.h"

#include <fmt/format.h>

#include <limits>
#include <optional>

#include "clients/cli/units.h"

namespace mallbots::client::cli {
namespace {

using std::string_view;

constexpr std::int64_t kLongestDelayMs = 24 * 3'600'000;

/// What stands before the first `delimiter`; `text` keeps what stands behind it.
string_view take_until(string_view& text, char delimiter) {
  const std::size_t at = text.find(delimiter);
  const string_view piece = text.substr(0, at);
  text = at == string_view::npos ? string_view{} : text.substr(at + 1);
  return piece;
}

std::optional<SettlementLine::Verb> verb_of(string_view word) {
  using Verb = SettlementLine::Verb;
  if (word == "ack") return Verb::kAck;
  if (word == "nack") return Verb::kNack;
  if (word == "reject") return Verb::kReject;
  if (word == "extend") return Verb::kExtend;
  return std::nullopt;
}

/// Takes the token off `text`, and the blank behind it. A topic may have blanks in its name.
Result<QueueToken> take_token(string_view& text) {
  QueueToken token;
  token.topic = take_until(text, '/');
  string_view numbers = take_until(text, ' ');
  const auto partition = parse_number(take_until(numbers, '/'), "the partition of a token");
  if (!partition) return std::unexpected(partition.error());
  const auto offset = parse_number(take_until(numbers, '/'), "the offset of a token");
  if (!offset) return std::unexpected(offset.error());
  const auto attempt = parse_number(numbers, "the attempt of a token");
  if (!attempt) return std::unexpected(attempt.error());
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();
  if (token.topic.empty() || *partition > kMost || *attempt > kMost)
    return fail(ErrorCode::kBadArgument, "no delivery has such a token");
  token.partition = static_cast<PartitionIndex>(*partition);
  token.offset = *offset;
  token.attempt = static_cast<std::uint32_t>(*attempt);
  return token;
}

}  // namespace

std::string token_text(const QueueToken& token) {
  return fmt::format("{}/{}/{}/{}", token.topic, token.partition, token.offset, token.attempt);
}

Result<SettlementLine> parse_settlement_line(string_view line) {
  const auto refused = [line](string_view why) {
    return fail(ErrorCode::kBadArgument,
                fmt::format("'{}': {}; known are ack TOKEN, nack TOKEN [DELAY], reject TOKEN "
                            "[REASON...] and extend TOKEN, where TOKEN is "
                            "TOPIC/PARTITION/OFFSET/ATTEMPT",
                            line.substr(0, 200), why));
  };
  string_view rest = line;
  const auto verb = verb_of(take_until(rest, ' '));
  if (!verb) return refused("an unknown verb");
  auto token = take_token(rest);
  if (!token) return refused(token.error().detail);
  SettlementLine settlement{.verb = *verb, .token = std::move(*token), .delay_ms = 0, .reason = {}};
  if (*verb == SettlementLine::Verb::kReject) {
    settlement.reason = rest;
  } else if (*verb == SettlementLine::Verb::kNack && !rest.empty()) {
    const auto delay_ms = parse_duration_ms(rest);
    if (!delay_ms) return refused(delay_ms.error().detail);
    if (*delay_ms > kLongestDelayMs) return refused("the delay is longer than 24 h");
    settlement.delay_ms = static_cast<std::uint32_t>(*delay_ms);
  } else if (!rest.empty()) {
    return refused(fmt::format("'{}' is too much", rest.substr(0, 200)));
  }
  return settlement;
}

}  // namespace mallbots::client::cli
