// What tests/crash/power_cut.py needs of a client and the command does not offer: batches, and
// commits of which it is known that they are durable.
//
//   power_cut_client RUNTIME_DIR batches TOPIC NAME SEED   one line per record of a durable batch:
//                                                          PARTITION OFFSET PAYLOAD
//   power_cut_client RUNTIME_DIR commits GROUP TOPIC...    one line per position that is durable:
//                                                          TOPIC PARTITION OFFSET
//   power_cut_client RUNTIME_DIR events TOPIC NAME SEED    one line per durable event: PARTITION
//                                                          OFFSET PAYLOAD; each append expects a
//                                                          version
//   power_cut_client RUNTIME_DIR named TOPIC NAME          the same of a producer with a name
//   power_cut_client RUNTIME_DIR queue TOPIC GROUP         `ask PARTITION OFFSET` before it settles
//                                                          a record, then `done`, `dead` or `back`
//                                                          PARTITION OFFSET when that is durable
//
// All go on until they are killed, but for these two, which look at what a cut has left:
//
//   power_cut_client RUNTIME_DIR last TOPIC NAME           per partition the last sequence of a
//                                                          name: PARTITION SEQUENCE
//   power_cut_client RUNTIME_DIR drain TOPIC GROUP COUNT   takes so many records of a queue:
//                                                          PARTITION OFFSET ATTEMPT
//
// A line is written after the promise was made, never before (`ask`: before the promise is asked
// for). A payload names its batch, so that half a batch can be told:
// NAME-NUMBER-BATCH/RECORDS/INDEX-filler; of an event:
// NAME-NUMBER-STREAM@VERSION/RECORDS/INDEX-filler.
#include "tests/crash/power_cut_client.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "clients/consumer.h"
#include "clients/producer.h"

namespace mallbots::test {

void give_up(const Error& error) {
  std::fprintf(stderr, "power_cut_client: %s\n", error.sentence().c_str());
  std::exit(1);
}

/// One write for all: whoever reads at the other end sees whole promises.
void say(const std::string& lines) {
  for (std::string_view rest = lines; !rest.empty();) {
    const ssize_t n = ::write(STDOUT_FILENO, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) std::exit(1);
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
}

namespace {

using client::Connection;
using client::Consumer;
using client::Message;
using client::Producer;
using client::Receipt;
using client::Record;

constexpr std::uint64_t kMostPauseMs = 30;
constexpr std::size_t kInFlight = 6;
constexpr std::size_t kMostRecords = 12;
constexpr std::size_t kMostFiller = 900;

struct Batch {
  Receipt receipt;
  std::vector<std::string> payloads;
};

class Batches {
 public:
  Batches(Producer& producer, std::string name, std::uint64_t seed)
      : producer_(producer), name_(std::move(name)), dice_(seed) {}

  [[noreturn]] void run() {
    while (true) {
      std::vector<Batch> in_flight;
      const std::size_t count = 1 + dice_() % kInFlight;
      for (std::size_t i = 0; i < count; ++i) append_one(in_flight);
      for (const Batch& batch : in_flight) {
        // What a restart took back is not promised, and is not sent again.
        if (producer_.wait_durable(batch.receipt, Deadline::after_ms(kPatienceMs))) tell(batch);
      }
      ::poll(nullptr, 0, static_cast<int>(dice_() % kMostPauseMs));
    }
  }

 private:
  void append_one(std::vector<Batch>& in_flight) {
    Batch batch;
    const std::size_t records = 1 + dice_() % kMostRecords;
    ++batches_;
    for (std::size_t i = 0; i < records; ++i) {
      std::string text = name_ + "-" + std::to_string(++numbers_) + "-" + std::to_string(batches_) +
                         "/" + std::to_string(records) + "/" + std::to_string(i) + "-";
      text.append(dice_() % kMostFiller, static_cast<char>('a' + batches_ % 26));
      batch.payloads.push_back(std::move(text));
    }
    std::vector<Record> parts;
    for (const std::string& text : batch.payloads) {
      Record record;
      record.payload = client::as_bytes(text);
      parts.push_back(record);
    }
    client::SendOptions how;
    how.deadline = Deadline::after_ms(kPatienceMs);
    how.partition = static_cast<PartitionIndex>(dice_() % producer_.partitions());
    const auto receipt = producer_.append_batch(parts, how);
    if (!receipt) return;
    batch.receipt = *receipt;
    in_flight.push_back(std::move(batch));
  }

  static void tell(const Batch& batch) {
    std::string lines;
    for (std::size_t i = 0; i < batch.payloads.size(); ++i)
      lines += std::to_string(batch.receipt.partition) + " " +
               std::to_string(batch.receipt.offset + i) + " " + batch.payloads[i] + "\n";
    say(lines);
  }

  Producer& producer_;
  std::string name_;
  std::mt19937_64 dice_;
  std::uint64_t batches_ = 0;
  std::uint64_t numbers_ = 0;
};

[[noreturn]] void commit_for_ever(Consumer& consumer) {
  while (true) {
    const auto messages = consumer.poll(Deadline::after_ms(100), 64);
    if (!messages) {
      if (!client::is_setback(messages.error().code)) give_up(messages.error());
      continue;
    }
    std::map<std::string, Offset> positions;
    for (const Message& message : *messages)
      positions[std::string{message.topic} + " " + std::to_string(message.partition)] =
          message.offset + 1;
    if (positions.empty()) continue;
    if (!consumer.commit() || !consumer.commit_durable(Deadline::after_ms(kPatienceMs))) continue;
    std::string lines;
    for (const auto& [where, offset] : positions)
      lines += where + " " + std::to_string(offset) + "\n";
    say(lines);
  }
}

int main_of(const std::vector<std::string>& words) {
  client::ConnectionOptions where;
  where.runtime_dir = words.empty() ? "" : words[0];
  const std::string what = words.size() < 4 ? "" : words[1];
  if (what == "batches" && words.size() == 5) {
    const auto connection = must(Connection::open(where));
    const auto producer = must(Producer::open(*connection, words[2]));
    Batches{*producer, words[3], std::stoull(words[4])}.run();
  }
  if (what == "events" && words.size() == 5)
    append_events(*must(Connection::open(where)), words[2], words[3], std::stoull(words[4]));
  if (what == "named") produce_named(*must(Connection::open(where)), words[2], words[3]);
  if (what == "queue") settle_for_ever(*must(Connection::open(where)), words[2], words[3]);
  if (what == "last") return tell_last(*must(Connection::open(where)), words[2], words[3]);
  if (what == "drain" && words.size() == 5)
    return drain(*must(Connection::open(where)), {words[2], words[3]}, std::stoull(words[4]));
  if (what != "commits") {
    std::fputs("power_cut_client RUNTIME_DIR batches|commits|events|named|queue|last|drain ...\n",
               stderr);
    return 2;
  }
  const auto connection = must(Connection::open(where));
  const auto consumer = must(Consumer::open(*connection));
  const std::vector<std::string> topics(words.begin() + 3, words.end());
  if (auto joined = consumer->subscribe(topics, words[2]); !joined) give_up(joined.error());
  commit_for_ever(*consumer);
}

}  // namespace
}  // namespace mallbots::test

int main(int count, char** words) { return mallbots::test::main_of({words + 1, words + count}); }
