// The parts of power_cut_client that are members of a queue.
#include <algorithm>
#include <array>
#include <vector>

#include "clients/consumer.h"
#include "clients/queue_consumer.h"
#include "tests/crash/power_cut_client.h"

namespace mallbots::test {
namespace {

using client::QueueConsumer;
using client::QueueMessage;
using client::QueueToken;

constexpr std::int64_t kTurnMs = 100;
constexpr std::int64_t kQuietMs = 5'000;

std::string place_of(const QueueToken& token) {
  return std::to_string(token.partition) + " " + std::to_string(token.offset);
}

std::unique_ptr<QueueConsumer> member_of(client::Connection& connection, const QueueName& queue) {
  auto member = must(QueueConsumer::open(connection, {.max_in_flight = 256}));
  const std::array topics{queue.topic};
  if (auto joined = member->subscribe(topics, queue.group); !joined) give_up(joined.error());
  return member;
}

/// Dead, put back once, or done, by the offset.
const char* settle(QueueConsumer& member, const QueueToken& token) {
  if (token.offset % 10 == 3)
    return member.reject(token, {.type = "Bad", .text = "never"}) ? "dead" : nullptr;
  if (token.offset % 10 == 5 && token.attempt == 1)
    return member.nack(token, 200, {.type = "Later", .text = "not now"}) ? "back" : nullptr;
  return member.ack(token) ? "done" : nullptr;
}

void settle_all(QueueConsumer& member, const std::vector<QueueMessage>& messages) {
  std::string asked;
  for (const QueueMessage& message : messages) asked += "ask " + place_of(message.token()) + "\n";
  say(asked);
  std::vector<std::pair<QueueToken, const char*>> settled;
  for (const QueueMessage& message : messages)
    if (const char* how = settle(member, message.token()); how != nullptr)
      settled.emplace_back(message.token(), how);
  static_cast<void>(member.flush(Deadline::after_ms(kPatienceMs)));  // the failures tell
  const auto failures = member.take_failures();
  std::string lines;
  for (const auto& [token, how] : settled) {
    const bool failed = std::ranges::any_of(
        failures, [&token = token](const auto& one) { return one.token == token; });
    if (!failed && !member.is_unconfirmed(token))
      lines += std::string{how} + " " + place_of(token) + "\n";
  }
  say(lines);
}

}  // namespace

void settle_for_ever(client::Connection& connection, const std::string& topic,
                     const std::string& group) {
  const auto member = member_of(connection, {topic, group});
  while (true) {
    const auto messages = member->poll(Deadline::after_ms(kTurnMs), 16);
    if (!messages && !client::is_setback(messages.error().code)) give_up(messages.error());
    if (messages && !messages->empty()) settle_all(*member, *messages);
  }
}

int drain(client::Connection& connection, const QueueName& queue, std::uint64_t count) {
  const auto member = member_of(connection, queue);
  for (std::uint64_t got = 0; got < count;) {
    const auto messages = must(member->poll(Deadline::after_ms(kQuietMs)));
    if (messages.empty()) return 1;
    std::string lines;
    for (const QueueMessage& message : messages) {
      lines += place_of(message.token()) + " " + std::to_string(message.attempt) + "\n";
      if (auto done = member->ack(message.token()); !done) give_up(done.error());
    }
    say(lines);
    if (auto done = member->flush(Deadline::after_ms(kPatienceMs)); !done) give_up(done.error());
    got += messages.size();
  }
  return 0;
}

}  // namespace mallbots::test
