#include <map>
#include <vector>

#include "clients/event_store.h"
#include "tests/soak/worker.h"

namespace mallbots::test {
namespace {

using client::EventStore;
using client::Expected;
using client::StreamVersion;

constexpr int kStreams = 40;

std::string stream_name(int number) { return "stream-" + std::to_string(number); }

class StreamWriter {
 public:
  explicit StreamWriter(Stage& stage)
      : stage_(stage),
        topic_(' ' + stage.order.topic + ' '),
        store_(must("open", EventStore::open(*stage.connection, stage.order.topic))) {}

  int run() {
    while (!asked_to_end()) {
      append(stream_name(stage_.roll(kStreams)));
      stage_.pause_ms(30);
    }
    return 0;
  }

 private:
  [[nodiscard]] std::pair<Expected, std::string> expectation(const std::string& stream);
  void append(const std::string& stream);

  Stage& stage_;
  std::string topic_;
  std::unique_ptr<EventStore> store_;
  std::map<std::string, StreamVersion> known_;  ///< perhaps old: others write, too
  int number_ = 0;
};

std::pair<Expected, std::string> StreamWriter::expectation(const std::string& stream) {
  const int luck = stage_.roll(20);
  if (luck == 0) return {Expected::any(), "any"};
  if (luck == 1) return {Expected::exists(), "exists"};
  if (luck == 2) return {Expected::none(), "none"};
  if (!known_.contains(stream) || luck == 3)
    known_[stream] = must("look up", store_->look_up(stream)).version;
  return {Expected::at(known_[stream]), std::to_string(known_[stream])};
}

void StreamWriter::append(const std::string& stream) {
  const auto [expected, word] = expectation(stream);
  std::vector<std::string> values;
  std::vector<std::string> texts;
  for (int left = 1 + stage_.roll(4); left > 0; --left) {
    values.push_back(stage_.order.who + '.' + std::to_string(number_++));
    texts.push_back(stage_.payload(values.back()));
    stage_.notes.add(boot_now_ns(),
                     "send" + topic_ + values.back() + ' ' + stream + ' ' + values.front());
  }
  stage_.notes.write("expects" + topic_ + stream + ' ' + values.front() + ' ' + word);
  std::vector<client::Event> events;
  for (const std::string& text : texts) events.push_back({.payload = client::as_bytes(text)});
  const auto done = store_->append(
      stream, expected, events,
      {.deadline = Deadline::after_ms(kPatienceMs),
       .acks = stage_.roll(2) == 0 ? client::Acks::kDurable : client::Acks::kCommitted});
  const ErrorCode code = done ? ErrorCode::kNone : done.error().code;
  if (code == ErrorCode::kNotDurable || code == ErrorCode::kInDoubt) return;
  if (code == ErrorCode::kConflict) {
    const StreamVersion actual = store_->conflict().version;
    stage_.notes.add(boot_now_ns(), "conflict" + topic_ + stream + ' ' + values.front() + ' ' +
                                        std::to_string(actual));
    known_[stream] = actual;
  }
  // `exists` of a stream that is none yet is refused, too.
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!done) {
      stage_.notes.add(boot_now_ns(),
                       "failed" + topic_ + values[i] + ' ' + std::string{error_entry(code).name});
      continue;
    }
    const StreamVersion version = done->version - values.size() + 1 + i;
    stage_.notes.add(boot_now_ns(), "acked" + topic_ + values[i] + ' ' +
                                        std::to_string(done->receipt.partition) + ' ' +
                                        std::to_string(done->receipt.offset + i));
    stage_.notes.add(boot_now_ns(), "versioned" + topic_ + stream + ' ' + values[i] + ' ' +
                                        std::to_string(version));
    known_[stream] = version;
  }
  stage_.notes.write();
  if (!done && code != ErrorCode::kConflict && code != ErrorCode::kUnknownStream)
    give_up("append", done.error());
}

/// All of one stream, in pages, forward or backward.
void read_whole(Stage& stage, EventStore& store, const std::string& stream, bool says_whole) {
  const std::string of = ' ' + stage.order.topic + ' ' + stream + ' ';
  const auto info = must("look up", store.look_up(stream));
  const bool backward = stage.roll(3) == 0;
  StreamVersion next = backward ? info.version : 1;
  for (std::uint64_t left = info.version; left > 0;) {
    const client::StreamRead page{
        .from = next, .count = 1 + static_cast<std::size_t>(stage.roll(100)), .durable = false};
    const auto events =
        must("read", backward ? store.read_backward(stream, page) : store.read(stream, page));
    if (events.empty()) break;
    for (const auto& event : events) {
      if (event.version > info.version) break;
      stage.notes.add(boot_now_ns(), "event" + of + value_of(event.message.view()) + ' ' +
                                         std::to_string(event.version));
      --left;
    }
    next = backward ? events.back().version - 1 : events.back().version + 1;
  }
  if (says_whole) stage.notes.add(boot_now_ns(), "whole" + of + std::to_string(info.version));
  stage.notes.write();
}

}  // namespace

int write_streams(Stage& stage) { return StreamWriter{stage}.run(); }

int read_streams(Stage& stage) {
  const auto store = must("open", EventStore::open(*stage.connection, stage.order.topic));
  while (!asked_to_end()) {
    read_whole(stage, *store, stream_name(stage.roll(kStreams)), false);
    stage.pause_ms(50);
  }
  return 0;
}

int audit_streams(Stage& stage) {
  const auto store = must("open", EventStore::open(*stage.connection, stage.order.topic));
  for (int i = 0; i < kStreams; ++i) read_whole(stage, *store, stream_name(i), true);
  return 0;
}

}  // namespace mallbots::test
