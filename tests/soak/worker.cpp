// soak_worker ROLE RUNTIME_DIR NOTES WHO SEED TOPIC [GROUP]: one party of the soak (soak.h), until
// SIGTERM; what it did and saw goes to the file NOTES (tests/history/history.h). Roles:
//
//   producer  single records and batches, committed and durable
//   reader    a plain reader from somewhere in the log, now and then slow
//   member    of GROUP; commits now and then, all or a part of what it was given
//   auditor   reads the topic from its start to its end, then ends
//
// Exit code 0: all went as promised; 1: standard error says what did not.
#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <map>
#include <random>
#include <thread>

#include "clients/admin.h"
#include "clients/consumer.h"
#include "clients/producer.h"
#include "tests/soak/notes.h"

namespace mallbots::test {
namespace {

using client::Consumer;
using client::Message;
using client::Producer;
using client::Start;

std::atomic<bool> asked_to_end = false;  // lock-free: a signal handler stores it

constexpr int kKeys = 64;
constexpr std::int64_t kPatienceMs = 60'000;
constexpr std::uint32_t kMaxPollIntervalMs = 1'500;
/// A member that was stopped may have been expelled, and its commits be void without its knowing.
constexpr BootNanos kSurelyMember = 1'000 * kMillisecond;

struct Order {
  std::string role;
  std::string runtime_dir;
  std::string notes;
  std::string who;
  unsigned seed = 0;
  std::string topic;
  std::string group;
};

[[noreturn]] void give_up(const std::string& what, const Error& error) {
  std::fprintf(stderr, "%s: %s\n", what.c_str(), error.sentence().c_str());
  std::exit(1);
}

template <class T>
T must(const char* what, Result<T> result) {
  if (!result) give_up(what, result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

class Worker {
 public:
  explicit Worker(Order order)
      : order_(std::move(order)),
        notes_(order_.notes, order_.who),
        dice_(order_.seed),
        connection_(
            must("connect", client::Connection::open({.runtime_dir = order_.runtime_dir,
                                                      .name = order_.who,
                                                      .reconnect_timeout_ms = kPatienceMs}))) {}

  int run() {
    if (order_.role == "producer") return produce();
    if (order_.role == "reader") return read();
    if (order_.role == "member") return consume();
    if (order_.role == "auditor") return audit();
    std::fprintf(stderr, "no role %s\n", order_.role.c_str());
    return 2;
  }

 private:
  /// 0 to `below - 1`.
  int roll(int below) { return static_cast<int>(dice_() % static_cast<unsigned>(below)); }
  void pause_ms(int below) { std::this_thread::sleep_for(std::chrono::milliseconds{roll(below)}); }
  [[nodiscard]] std::string at(const Message& message) const {
    return std::to_string(message.partition) + ' ' + std::to_string(message.offset);
  }

  int produce();
  void send(Producer& producer, std::vector<std::string> values);
  std::unique_ptr<Consumer> open(client::ReadLevel level);
  void note_start(Consumer& consumer, const client::TopicPartition& partition);
  std::size_t read_some(Consumer& consumer, std::int64_t patience_ms);
  int read();
  int audit();
  int consume();
  void note_assignment(std::span<const client::TopicPartition> gained,
                       std::span<const client::TopicPartition> lost);
  void commit(Consumer& consumer);
  void note_commit(PartitionIndex partition, Offset offset) {
    const BootNanos now = boot_now_ns();
    if (now - polled_ns_ > kSurelyMember) return;
    notes_.add(now, "committed " + order_.topic + ' ' + order_.group + ' ' +
                        std::to_string(partition) + ' ' + std::to_string(offset));
  }

  Order order_;
  Notes notes_;
  std::mt19937 dice_;
  std::unique_ptr<client::Connection> connection_;
  BootNanos polled_ns_ = 0;
  std::map<PartitionIndex, Offset> given_;  ///< member: next offset, of what is not committed
};

int Worker::produce() {
  const auto producer = must("open", Producer::open(*connection_, order_.topic));
  for (int number = 0; !asked_to_end;) {
    std::vector<std::string> values;
    for (int left = roll(5) == 0 ? 2 + roll(20) : 1; left > 0; --left)
      values.push_back(order_.who + '.' + std::to_string(number++));
    send(*producer, std::move(values));
    pause_ms(20);
  }
  return 0;
}

void Worker::send(Producer& producer, std::vector<std::string> values) {
  const std::string key = "k" + std::to_string(roll(kKeys));
  const std::string topic = ' ' + order_.topic + ' ';
  std::vector<std::string> texts;
  for (const std::string& value : values) {
    texts.push_back(value + ' ' +
                    std::string(static_cast<std::size_t>(roll(50) == 0 ? 20'000 : roll(200)), '.'));
    notes_.add(boot_now_ns(), "send" + topic + value + ' ' + key + ' ' + values.front());
  }
  notes_.write();
  std::vector<client::Record> records;
  for (const std::string& text : texts)
    records.push_back({.payload = client::as_bytes(text), .key = client::as_bytes(key)});
  const client::SendOptions options{
      .deadline = Deadline::after_ms(kPatienceMs),
      .acks = roll(4) == 0 ? client::Acks::kDurable : client::Acks::kCommitted};
  const auto receipt = producer.append_batch(records, options);
  if (!receipt && receipt.error().code == ErrorCode::kNotDurable) return;  // there, but where?
  for (std::size_t i = 0; i < values.size(); ++i)
    if (receipt)
      notes_.add(boot_now_ns(), "acked" + topic + values[i] + ' ' +
                                    std::to_string(receipt->partition) + ' ' +
                                    std::to_string(receipt->offset + i));
    else
      notes_.add(boot_now_ns(), "failed" + topic + values[i] + ' ' +
                                    std::string{error_entry(receipt.error().code).name});
  notes_.write();
  if (!receipt) give_up("append", receipt.error());
}

std::unique_ptr<Consumer> Worker::open(client::ReadLevel level) {
  return must("open", Consumer::open(*connection_, {.read = level}));
}

void Worker::note_start(Consumer& consumer, const client::TopicPartition& partition) {
  notes_.add(boot_now_ns(), "started " + order_.topic + ' ' + std::to_string(partition.partition) +
                                ' ' + std::to_string(consumer.position(partition)->offset));
}

std::size_t Worker::read_some(Consumer& consumer, std::int64_t patience_ms) {
  const BootNanos begin = boot_now_ns();
  const auto batch = must("poll", consumer.poll(Deadline::after_ms(patience_ms), 256));
  for (const Message& message : batch)
    notes_.add_delivery(begin, "read " + order_.topic + ' ' + at(message) + ' ' +
                                   value_of(message) + ' ' + key_of(message) + ' ' +
                                   std::to_string(message.timestamp_ms));
  notes_.write();
  return batch.size();
}

int Worker::read() {
  const auto topic = must("describe", client::Admin{*connection_}.describe_topic(order_.topic));
  const auto consumer =
      open(roll(2) == 0 ? client::ReadLevel::kCommitted : client::ReadLevel::kDurable);
  for (const auto& partition : topic.partitions) {
    const client::TopicPartition place{order_.topic, partition.partition};
    // From somewhere: the beginning is on disk, the end in memory.
    const Offset offset =
        partition.start_offset +
        static_cast<Offset>(static_cast<double>(partition.durable_offset - partition.start_offset) *
                            roll(101) / 100);
    must("assign", consumer->assign(order_.topic, {&place.partition, 1}, Start::offset(offset)));
    note_start(*consumer, place);
  }
  notes_.write();
  while (!asked_to_end) {
    read_some(*consumer, 100);
    if (roll(200) == 0) pause_ms(1'000);
  }
  return 0;
}

int Worker::audit() {
  const auto topic = must("describe", client::Admin{*connection_}.describe_topic(order_.topic));
  std::size_t left = 0;
  for (const auto& partition : topic.partitions)
    left += partition.end_offset - partition.start_offset;
  const auto consumer = open(client::ReadLevel::kCommitted);
  must("assign", consumer->assign(order_.topic, {}, Start::oldest()));
  for (const auto& partition : topic.partitions)
    note_start(*consumer, {order_.topic, partition.partition});
  for (const Deadline end = Deadline::after_ms(kPatienceMs); left > 0 && !end.has_passed();)
    left -= std::min(left, read_some(*consumer, 500));
  for (const auto& partition : topic.partitions)
    notes_.add(boot_now_ns(), "ended " + order_.topic + ' ' + std::to_string(partition.partition) +
                                  ' ' + std::to_string(partition.end_offset));
  notes_.write();
  return 0;
}

void Worker::note_assignment(std::span<const client::TopicPartition> gained,
                             std::span<const client::TopicPartition> lost) {
  const std::string of = ' ' + order_.topic + ' ' + order_.group + ' ';
  for (const auto& partition : lost) {
    notes_.add(boot_now_ns(), "dropped" + of + std::to_string(partition.partition));
    given_.erase(partition.partition);
  }
  for (const auto& partition : gained) {
    notes_.add(boot_now_ns(), "gained" + of + std::to_string(partition.partition));
    given_.erase(partition.partition);
  }
  notes_.write();
}

int Worker::consume() {
  const auto consumer =
      must("open", Consumer::open(*connection_, {.max_poll_interval_ms = kMaxPollIntervalMs,
                                                 .on_assignment = [this](auto gained, auto lost) {
                                                   note_assignment(gained, lost);
                                                 }}));
  const std::vector topics{order_.topic};
  must("subscribe", consumer->subscribe(topics, order_.group));
  while (!asked_to_end) {
    const BootNanos begin = boot_now_ns();
    if (begin - polled_ns_ > kSurelyMember) given_.clear();
    polled_ns_ = begin;
    const auto batch = consumer->poll(Deadline::after_ms(100), 64);
    if (!batch && batch.error().code == ErrorCode::kFenced) {  // it stood for too long
      note_assignment({}, consumer->assignment());
      given_.clear();
      must("subscribe", consumer->subscribe(topics, order_.group));
      continue;
    }
    if (!batch) give_up("poll", batch.error());
    for (const Message& message : *batch) {
      notes_.add_delivery(begin, "given " + order_.topic + ' ' + order_.group + ' ' + at(message) +
                                     ' ' + value_of(message) + ' ' + key_of(message));
      given_[message.partition] = message.offset + 1;
    }
    notes_.write();
    if (batch->empty() || roll(3) == 0) {
      commit(*consumer);
    } else if (roll(3) == 0) {
      const Message& one =
          (*batch)[static_cast<std::size_t>(roll(static_cast<int>(batch->size())))];
      const auto done = consumer->commit(one);
      if (done) note_commit(one.partition, one.offset + 1);
      if (!done && done.error().code != ErrorCode::kFenced) give_up("commit", done.error());
      notes_.write();
    }
  }
  commit(*consumer);
  return 0;
}

void Worker::commit(Consumer& consumer) {
  if (given_.empty()) return;
  auto done = consumer.commit();
  if (done && roll(4) == 0) done = consumer.commit_durable(Deadline::after_ms(kPatienceMs));
  if (!done && done.error().code != ErrorCode::kFenced) give_up("commit", done.error());
  if (done)
    for (const auto& [partition, next] : given_) note_commit(partition, next);
  notes_.write();
  given_.clear();
}

}  // namespace
}  // namespace mallbots::test

int main(int count, char** words) {
  using namespace mallbots::test;
  if (count < 7) {
    std::fputs("usage: soak_worker ROLE RUNTIME_DIR NOTES WHO SEED TOPIC [GROUP]\n", stderr);
    return 2;
  }
  signal(SIGTERM, [](int) { asked_to_end.store(true); });
  return Worker{{.role = words[1],
                 .runtime_dir = words[2],
                 .notes = words[3],
                 .who = words[4],
                 .seed = static_cast<unsigned>(std::strtoul(words[5], nullptr, 10)),
                 .topic = words[6],
                 .group = count > 7 ? words[7] : ""}}
      .run();
}
