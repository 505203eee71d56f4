// What tests/crash/kill_points.py needs of a client and the command does not offer.
//
//   crash_client RUNTIME_DIR exclusive TOPIC NAME COUNT
//     takes the lease of partition 0 over and appends COUNT payloads "NAME-<i>-..."; one line
//     "<i> 0 <offset>" per record that is durable (i from 1). Exit 9: the lease was lost.
//   crash_client RUNTIME_DIR conflict TOPIC
//     an append that expects an impossible offset
//   crash_client RUNTIME_DIR hold TOPIC COUNT
//     reads one record, stops itself with the view in its hands, goes on to COUNT records; one line
//     "<partition> <offset>" each
//   crash_client RUNTIME_DIR commits TOPIC GROUP COUNT
//     COUNT durable commits, one per record
//   crash_client RUNTIME_DIR sleeper TOPIC GROUP
//     commits 100 records, then polls no more for longer than its group allows; one line
//     "<partition> <offset>" per record whose commit is durable
//   crash_client RUNTIME_DIR queue TOPIC GROUP
//     a member of a queue, until nothing comes for 2 s: rejects offsets that end in 3, puts those
//     that end in 5 back once, acknowledges the rest; lines "got <partition> <offset>", and
//     "done <partition> <offset>" when that is confirmed
//   crash_client RUNTIME_DIR events TOPIC COUNT
//     COUNT durable appends of 25 events each, at the version of the stream, which is one of ten;
//     the payload is "<stream>@<version>"; a line "<stream> <version of the last>" for each that is
//     acknowledged
//   crash_client RUNTIME_DIR garbage
//     a session that sends what nobody understands
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "clients/consumer.h"
#include "clients/event_store.h"
#include "clients/producer.h"
#include "clients/queue_consumer.h"
#include "tests/support/control_client.h"

namespace mallbots::test {
namespace {

using client::Connection;
using client::Consumer;
using client::ExclusiveProducer;
using client::Producer;
using client::Receipt;

constexpr int kLeaseLost = 9;
constexpr std::int64_t kPatienceMs = 30'000;
constexpr std::size_t kInFlight = 64;

[[noreturn]] void give_up(const Error& error) {
  std::fprintf(stderr, "crash_client: %s\n", error.sentence().c_str());
  std::exit(error.code == ErrorCode::kLeaseLost ? kLeaseLost : 1);
}

template <class T>
T must(Result<T> result) {
  if (!result) give_up(result.error());
  return std::move(*result);
}

class Exclusive {
 public:
  Exclusive(ExclusiveProducer& producer, std::string name)
      : producer_(producer), name_(std::move(name)) {}

  void run(int count) {
    for (int i = 1; i <= count; ++i) {
      in_flight_.push_back({i, append(i)});
      if (in_flight_.size() >= kInFlight) settle();
    }
    while (!in_flight_.empty()) settle();
  }

 private:
  struct Sent {
    int number;
    Receipt receipt;
  };

  /// In place, every other one copied. What a broker that is being replaced made void is sent
  /// again.
  Receipt append(int number) {
    const std::string text =
        name_ + "-" + std::to_string(number) + "-" + std::string(200, static_cast<char>('x'));
    for (;;) {
      Result<Receipt> done;
      if (number % 2 == 0) {
        client::Record record;
        record.payload = client::as_bytes(text);
        done = producer_.append(record, {});
      } else if (auto space = producer_.reserve(text.size()); space) {
        std::copy_n(client::as_bytes(text).begin(), text.size(), space->begin());
        done = producer_.commit();
      } else {
        done = std::unexpected(space.error());
      }
      if (done) return *done;
      const ErrorCode code = done.error().code;
      if (code != ErrorCode::kDraining && code != ErrorCode::kConnectionLost) give_up(done.error());
    }
  }

  void settle() {
    const Sent sent = in_flight_.front();
    in_flight_.pop_front();
    if (auto done = producer_.wait_durable(sent.receipt, Deadline::after_ms(kPatienceMs)); !done)
      give_up(done.error());
    std::printf("%d 0 %llu\n", sent.number, static_cast<unsigned long long>(sent.receipt.offset));
    std::fflush(stdout);
  }

  ExclusiveProducer& producer_;
  std::string name_;
  std::deque<Sent> in_flight_;
};

int conflict(Connection& connection, const std::string& topic) {
  const auto producer = must(Producer::open(connection, topic));
  client::SendOptions how;
  how.partition = 0;
  how.expected_offset = Offset{1} << 60;
  const auto refused = producer->append({}, how);
  return !refused && refused.error().code == ErrorCode::kConflict ? 0 : 1;
}

int hold(Connection& connection, const std::string& topic, int count) {
  const auto consumer = must(Consumer::open(connection));
  if (auto done = consumer->assign(topic, {}, client::Start::oldest()); !done)
    give_up(done.error());
  const Deadline patience = Deadline::after_ms(kPatienceMs);
  for (int seen = 0; seen < count;) {
    const auto messages = consumer->poll(Deadline::after_ms(1'000), seen == 0 ? 1 : 1024);
    if (!messages) {
      if (!client::is_setback(messages.error().code)) give_up(messages.error());
      continue;
    }
    if (messages->empty() && patience.has_passed()) return 1;
    for (const auto& message : *messages)
      std::printf("%u %llu\n", message.partition, static_cast<unsigned long long>(message.offset));
    std::fflush(stdout);
    if (seen == 0 && !messages->empty()) ::raise(SIGSTOP);
    seen += static_cast<int>(messages->size());
  }
  return 0;
}

int commits(Connection& connection, const std::string& topic, const std::string& group, int count) {
  const auto consumer = must(Consumer::open(connection));
  const std::array topics{topic};
  if (auto done = consumer->subscribe(topics, group); !done) give_up(done.error());
  const Deadline patience = Deadline::after_ms(kPatienceMs);
  for (int done = 0; done < count;) {
    const auto messages = consumer->poll(Deadline::after_ms(100), 1);
    if (!messages && !client::is_setback(messages.error().code)) give_up(messages.error());
    if (patience.has_passed()) return 1;
    if (!messages || messages->empty()) continue;
    // A broker that dies meanwhile costs the answer, not the position.
    if (consumer->commit() && consumer->commit_durable(Deadline::after_ms(kPatienceMs))) ++done;
  }
  return 0;
}

int sleeper(Connection& connection, const std::string& topic, const std::string& group) {
  constexpr int kPollIntervalMs = 400;
  const auto consumer = must(Consumer::open(connection, {.max_poll_interval_ms = kPollIntervalMs}));
  const std::array topics{topic};
  if (auto done = consumer->subscribe(topics, group); !done) give_up(done.error());
  const Deadline patience = Deadline::after_ms(kPatienceMs);
  std::string lines;
  for (int seen = 0; seen < 100;) {
    const auto messages = consumer->poll(Deadline::after_ms(100), 10);
    if (!messages && !client::is_setback(messages.error().code)) give_up(messages.error());
    if (patience.has_passed()) return 1;
    if (!messages || messages->empty()) continue;
    for (const auto& message : *messages)
      lines += std::to_string(message.partition) + " " + std::to_string(message.offset) + "\n";
    seen += static_cast<int>(messages->size());
    if (!consumer->commit() || !consumer->commit_durable(Deadline::after_ms(kPatienceMs))) continue;
    std::fputs(std::exchange(lines, {}).c_str(), stdout);
    std::fflush(stdout);
  }
  ::poll(nullptr, 0, 3 * kPollIntervalMs);
  return 0;
}

/// What is confirmed when a flush returns; what failed comes again.
void tell_done(client::QueueConsumer& member, std::vector<client::QueueToken>& settled) {
  static_cast<void>(member.flush(Deadline::after_ms(kPatienceMs)));
  const auto failures = member.take_failures();
  for (const client::QueueToken& token : settled) {
    const bool failed = std::any_of(failures.begin(), failures.end(),
                                    [&](const auto& one) { return one.token == token; });
    if (!failed)
      std::printf("done %u %llu\n", token.partition, static_cast<unsigned long long>(token.offset));
  }
  std::fflush(stdout);
  settled.clear();
}

int queue(Connection& connection, const std::string& topic, const std::string& group) {
  const auto member = must(client::QueueConsumer::open(connection));
  const std::array topics{topic};
  if (auto done = member->subscribe(topics, group); !done) give_up(done.error());
  std::vector<client::QueueToken> settled;
  for (;;) {
    const auto messages = must(member->poll(Deadline::after_ms(2'000), 32));
    if (messages.empty()) return 0;
    for (const client::QueueMessage& message : messages) {
      const client::QueueToken token = message.token();
      std::printf("got %u %llu\n", token.partition, static_cast<unsigned long long>(token.offset));
      std::fflush(stdout);
      if (token.offset % 10 == 5 && token.attempt == 1) {
        static_cast<void>(member->nack(token, 20, {.type = "Later", .text = "not now"}));
        continue;
      }
      const auto done = token.offset % 10 == 3
                            ? member->reject(token, {.type = "Bad", .text = "never"})
                            : member->ack(token);
      if (done) settled.push_back(token);
    }
    tell_done(*member, settled);
  }
}

/// Who knows the versions of ten streams appends behind them; its events say where they must stand.
int events(Connection& connection, const std::string& topic, int appends) {
  constexpr std::size_t kStreams = 10;
  constexpr std::size_t kEventsAtOnce = 25;
  const auto store = must(client::EventStore::open(connection, topic));
  std::array<client::StreamVersion, kStreams> versions{};
  for (std::size_t i = 0; i < kStreams; ++i)
    versions[i] = must(store->look_up("s" + std::to_string(i))).version;
  for (std::size_t i = 0; i < static_cast<std::size_t>(appends); ++i) {
    const std::string stream = "s" + std::to_string(i % kStreams);
    client::StreamVersion& version = versions[i % kStreams];
    std::array<std::string, kEventsAtOnce> texts;
    std::array<client::Event, kEventsAtOnce> batch;
    for (std::size_t n = 0; n < kEventsAtOnce; ++n) {
      texts[n] = stream + "@" + std::to_string(version + n + 1);
      batch[n].payload = client::as_bytes(texts[n]);
    }
    version = must(store->append(stream, client::Expected::at(version), batch)).version;
    std::printf("%s %llu\n", stream.c_str(), static_cast<unsigned long long>(version));
    std::fflush(stdout);
  }
  return 0;
}

int garbage(const std::string& runtime_dir) {
  ControlClient client{runtime_dir + "/control.sock"};
  if (!client.connected() || !client.hello("garbage")) return 1;
  const std::array<std::byte, 64> nonsense{};
  client.send(nonsense);
  return client.closed() ? 0 : 1;
}

int main_of(const std::vector<std::string>& words) {
  if (words.size() == 2 && words[1] == "garbage") return garbage(words[0]);
  if (words.size() < 3) return 2;
  client::ConnectionOptions where;
  where.runtime_dir = words[0];
  const auto connection = must(Connection::open(where));
  const std::string& what = words[1];
  if (what == "exclusive" && words.size() == 5) {
    const auto producer = must(ExclusiveProducer::open(*connection, words[2], {.take_over = true}));
    Exclusive{*producer, words[3]}.run(std::stoi(words[4]));
    return 0;
  }
  if (what == "conflict") return conflict(*connection, words[2]);
  if (what == "hold" && words.size() == 4) return hold(*connection, words[2], std::stoi(words[3]));
  if (what == "commits" && words.size() == 5)
    return commits(*connection, words[2], words[3], std::stoi(words[4]));
  if (what == "sleeper" && words.size() == 4) return sleeper(*connection, words[2], words[3]);
  if (what == "queue" && words.size() == 4) return queue(*connection, words[2], words[3]);
  if (what == "events" && words.size() == 4)
    return events(*connection, words[2], std::stoi(words[3]));
  return 2;
}

}  // namespace
}  // namespace mallbots::test

int main(int count, char** words) { return mallbots::test::main_of({words + 1, words + count}); }
