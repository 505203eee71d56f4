// The parts of power_cut_client that append by a rule: events at a version, records under a name.
#include <poll.h>

#include <map>
#include <random>
#include <vector>

#include "clients/event_store.h"
#include "clients/producer.h"
#include "tests/crash/power_cut_client.h"

namespace mallbots::test {
namespace {

using client::EventStore;
using client::Expected;
using client::Producer;
using client::StreamVersion;

constexpr std::uint64_t kStreams = 12;
constexpr std::uint64_t kMostEvents = 40;
constexpr std::uint64_t kMostFiller = 120;
constexpr std::uint64_t kSaidAgain = 3;

void pause_ms(int time_ms) { ::poll(nullptr, 0, time_ms); }

class EventWriter {
 public:
  EventWriter(EventStore& store, std::string name, std::uint64_t seed)
      : store_(store), name_(std::move(name)), dice_(seed) {}

  /// Others append to the same streams: what is known of a version may be old.
  void append_one() {
    const std::string stream = "s" + std::to_string(dice_() % kStreams);
    auto known = versions_.find(stream);
    if (known == versions_.end()) {
      const auto found = store_.look_up(stream);
      if (!found) return pause_ms(5);
      known = versions_.emplace(stream, found->version).first;
    }
    const StreamVersion before = known->second;
    const std::vector<std::string> texts = payloads(stream, before);
    std::vector<client::Event> events;
    for (const std::string& text : texts) events.push_back({.payload = client::as_bytes(text)});
    const auto done = store_.append(stream, Expected::at(before), events,
                                    {.deadline = Deadline::after_ms(kPatienceMs)});
    if (!done && done.error().code == ErrorCode::kConflict) {
      known->second = store_.conflict().version;
    } else if (!done) {
      versions_.erase(known);
    } else {
      known->second = done->version;
      std::string lines;
      for (std::size_t i = 0; i < texts.size(); ++i)
        lines += std::to_string(done->receipt.partition) + " " +
                 std::to_string(done->receipt.offset + i) + " " + texts[i] + "\n";
      say(lines);
    }
  }

 private:
  [[nodiscard]] std::vector<std::string> payloads(const std::string& stream, StreamVersion before) {
    std::vector<std::string> texts(1 + dice_() % kMostEvents);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      texts[i] = name_ + "-" + std::to_string(++numbers_) + "-" + stream + "@" +
                 std::to_string(before + i + 1) + "/" + std::to_string(texts.size()) + "/" +
                 std::to_string(i) + "-";
      texts[i].append(dice_() % kMostFiller, 'e');
    }
    return texts;
  }

  EventStore& store_;
  std::string name_;
  std::mt19937_64 dice_;
  std::map<std::string, StreamVersion> versions_;
  std::uint64_t numbers_ = 0;
};

/// Goes on behind what was accepted; says the last ones again, which must change nothing. Returns
/// when something failed: what became of it, the next holder of the name asks.
void produce_under(Producer& producer, const std::string& name) {
  if (!producer.prepare()) return;
  const auto value_at = [&name](PartitionIndex partition, std::uint64_t sequence) {
    return name + "-" + std::to_string(sequence) + "-p" + std::to_string(partition);
  };
  std::vector<std::uint64_t> next;
  for (PartitionIndex i = 0; i < producer.partitions(); ++i) {
    const std::uint64_t last = producer.last_sequence(i);
    next.push_back(last > kSaidAgain ? last - kSaidAgain : 1);
  }
  for (std::uint64_t turn = 0;; ++turn) {
    const auto partition = static_cast<PartitionIndex>(turn % next.size());
    const std::string text = value_at(partition, next[partition]);
    const bool durable = turn % 3 != 0;
    const auto receipt =
        producer.append({.payload = client::as_bytes(text)},
                        {.deadline = Deadline::after_ms(kPatienceMs),
                         .partition = partition,
                         .acks = durable ? client::Acks::kDurable : client::Acks::kCommitted,
                         .sequence = next[partition]});
    if (!receipt) return;
    ++next[partition];
    if (durable && !receipt->duplicate)
      say(std::to_string(partition) + " " + std::to_string(receipt->offset) + " " + text + "\n");
    pause_ms(2);
  }
}

}  // namespace

void append_events(client::Connection& connection, const std::string& topic,
                   const std::string& name, std::uint64_t seed) {
  const auto store = must(EventStore::open(connection, topic));
  EventWriter writer{*store, name, seed};
  while (true) writer.append_one();
}

/// `name` is that of the records; the producer's is the topic's, the same over all lives.
void produce_named(client::Connection& connection, const std::string& topic,
                   const std::string& name) {
  while (true) {
    const auto producer = Producer::open(connection, topic, {.name = topic});
    if (producer) produce_under(**producer, name);
    pause_ms(5);
  }
}

int tell_last(client::Connection& connection, const std::string& topic, const std::string& name) {
  const auto producer = must(Producer::open(connection, topic, {.name = name}));
  if (const auto ready = producer->prepare(); !ready) give_up(ready.error());
  for (PartitionIndex i = 0; i < producer->partitions(); ++i)
    say(std::to_string(i) + " " + std::to_string(producer->last_sequence(i)) + "\n");
  return 0;
}

}  // namespace mallbots::test
