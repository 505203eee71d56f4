// The parts of power_cut_client that are members of a queue.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "clients/admin.h"
#include "clients/consumer.h"
#include "clients/queue_consumer.h"
#include "tests/crash/power_cut_client.h"

namespace mallbots::test {
namespace {

using client::Admin;
using client::QueueConsumer;
using client::QueueMessage;
using client::QueueToken;

constexpr const char* kJournal = "_queues";
constexpr std::int64_t kTurnMs = 100;
constexpr std::int64_t kQuietMs = 5'000;
constexpr useconds_t kLookUs = 500;

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

/// One life of the broker's memory; 0 if it is away.
std::uint32_t life_of(Admin& admin) {
  const auto status = admin.status(Deadline::after_ms(kTurnMs));
  return status ? status->keeper_pid : 0;
}

/// Waits until all that the queues' journal has now is on the disk. False: who knows, for that
/// memory may have gone meanwhile, or the broker is away.
bool is_journal_durable(Admin& admin, std::uint32_t life) {
  for (Offset end = 0; life != 0;) {
    const auto journal = admin.describe_topic(kJournal, Deadline::after_ms(kTurnMs));
    if (!journal) return false;
    const client::PartitionDescription& log = journal->partitions.at(0);
    if (end == 0) end = log.end_offset;
    if (log.durable_offset >= end) return life_of(admin) == life;
    ::usleep(kLookUs);
  }
  return false;
}

/// A confirmation promises nothing about a cut (broker/RECOVERY.md, section 8), so it is said when
/// the journal is on the disk.
void settle_all(QueueConsumer& member, Admin& admin, const std::vector<QueueMessage>& messages) {
  const std::uint32_t life = life_of(admin);
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
  if (is_journal_durable(admin, life)) say(lines);
}

}  // namespace

void settle_for_ever(client::Connection& connection, const std::string& topic,
                     const std::string& group) {
  const auto member = member_of(connection, {topic, group});
  Admin admin{connection};
  while (true) {
    const auto messages = member->poll(Deadline::after_ms(kTurnMs), 16);
    if (!messages && !client::is_setback(messages.error().code)) give_up(messages.error());
    if (messages && !messages->empty()) settle_all(*member, admin, *messages);
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
