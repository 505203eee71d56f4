#include "broker/streams/partition_streams.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "tests/broker/log/log_instance.h"

namespace mallbots::test {
namespace {

using broker::PartitionStreams;
using broker::StreamState;
using broker::Verdict;
using shm::StreamRequest;

/// One event topic, its streams, and the sequencer's part played by the test.
class EventLog : public testing::Test {
 protected:
  EventLog() {
    instance.make("e", {{"slot.bytes", "128KiB", false}, {"segment.bytes", "256KiB", false}});
    begin();
  }

  broker::Partition& partition() { return instance.topic("e").partition(0); }
  std::string folder() { return partition().store()->options().folder; }
  std::string file() { return folder() + "/streams"; }

  void begin() {
    auto started = PartitionStreams::start({.disk = instance.disk(),
                                            .partition = partition(),
                                            .epochs = instance.topics().epochs(),
                                            .folder = folder()});
    ASSERT_TRUE(started) << started.error().sentence();
    streams = std::move(*started);
  }

  void ask(StreamRequest kind, const std::string& id, std::uint64_t argument = 0,
           std::size_t count = 1) {
    const std::string payload(40, 'x');
    std::vector<shm::RecordInput> records(count);
    for (auto& record : records) record.payload = std::as_bytes(std::span{payload});
    std::uint64_t arguments[shm::kIngestArguments] = {1, argument};
    if (kind == StreamRequest::kTruncate) arguments[0] = argument;
    broker::HandedIn entry{.kind = static_cast<shm::IngestKind>(kind),
                           .arguments = arguments,
                           .request = std::as_bytes(std::span{id}),
                           .records = records};
    const Verdict verdict = streams->admission()->admit(entry);
    if (verdict.what != Verdict::What::kAccepted) return;
    broker::WriteOutcome outcome;
    for (int i = 0; i < 100; ++i) {
      outcome = partition().writer().append(records, {.expected_offset = entry.next});
      if (outcome.status != broker::WriteStatus::kNoRoom) break;
      instance.settle();
    }
    ASSERT_EQ(outcome.status, broker::WriteStatus::kAppended);
    std::uint64_t extras[shm::kIngestExtras] = {};
    streams->admission()->appended(entry, outcome.offset, outcome.timestamp_ms, extras);
  }

  void work(std::uint64_t steps) {
    for (std::uint64_t i = 0; i < steps; ++i) {
      dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
      const std::uint64_t die = dice >> 33;
      const std::string id = "order-" + std::to_string(die % 300);
      if (die % 40 == 0) {
        ask(StreamRequest::kRemove, id);
      } else if (die % 40 == 1) {
        ask(StreamRequest::kTruncate, id, 1 + die / 300 % 3);
      } else {
        ask(StreamRequest::kAppend, id, 0, 1 + die % 3);
      }
    }
  }
  /// Writes a checkpoint of all that there is.
  void checkpoint() {
    instance.settle();
    while (!streams->drain(boot_now_ns())) instance.settle();
    ASSERT_TRUE(std::filesystem::exists(file()));
  }
  std::map<std::string, StreamState> all() {
    std::map<std::string, StreamState> states;
    for (int i = 0; i < 300; ++i) {
      const std::string id = "order-" + std::to_string(i);
      states[id] = streams->table().state_of(broker::stream_key(id));
    }
    return states;
  }
  void expect_same(const std::map<std::string, StreamState>& before) {
    for (const auto& [id, state] : all()) {
      const StreamState& was = before.at(id);
      ASSERT_EQ(state.version, was.version) << id;
      ASSERT_EQ(state.first, was.first) << id;
      ASSERT_EQ(state.deleted, was.deleted) << id;
      for (std::size_t i = 0; i < was.roots.count(); ++i)
        ASSERT_EQ(state.roots.at(i), was.roots.at(i)) << id << " root " << i;
    }
    EXPECT_EQ(streams->table().end(), partition().end_offset());
  }

  LogInstance instance;
  std::unique_ptr<PartitionStreams> streams;
  std::uint64_t dice = 12345;
};

TEST_F(EventLog, AloneGivesTheIndexAgainAfterEveryKindOfStart) {
  work(4'000);
  instance.settle();
  const auto before = all();
  for (const auto restart : {&LogInstance::restart_broker, &LogInstance::crash_and_start,
                             &LogInstance::drain_and_start}) {
    streams.reset();
    (instance.*restart)();
    begin();
    EXPECT_FALSE(streams->how_started().from_checkpoint);
    EXPECT_EQ(streams->how_started().finding, "");
    expect_same(before);
  }
}

TEST_F(EventLog, WithACheckpointIsReadFromThereOnly) {
  work(4'000);
  checkpoint();
  const Offset checkpointed = partition().end_offset();
  work(500);
  instance.settle();
  const auto before = all();
  for (const auto restart : {&LogInstance::restart_broker, &LogInstance::crash_and_start,
                             &LogInstance::drain_and_start}) {
    streams.reset();
    (instance.*restart)();
    begin();
    EXPECT_TRUE(streams->how_started().from_checkpoint);
    EXPECT_EQ(streams->how_started().from, checkpointed);
    EXPECT_EQ(streams->how_started().records, partition().end_offset() - checkpointed);
    expect_same(before);
  }
  work(100);  // and it goes on
  instance.settle();
  const auto after = all();
  streams.reset();
  instance.restart_broker();
  begin();
  expect_same(after);
}

TEST_F(EventLog, OutlivesADamagedCheckpoint) {
  work(3'000);
  checkpoint();
  const auto before = all();
  streams.reset();
  {
    std::fstream bytes{file(), std::ios::in | std::ios::out | std::ios::binary};
    bytes.seekp(100);
    bytes.put('!');
  }
  instance.restart_broker();
  begin();
  EXPECT_FALSE(streams->how_started().from_checkpoint);
  EXPECT_NE(streams->how_started().finding, "");
  expect_same(before);
  checkpoint();  // replaces it
  streams.reset();
  instance.restart_broker();
  begin();
  EXPECT_TRUE(streams->how_started().from_checkpoint);
  expect_same(before);
}

TEST_F(EventLog, BelievesNoCheckpointThatIsAheadOfIt) {
  work(2'000);
  instance.settle();
  const auto before = all();
  // As if the log had been set back to an older copy of itself.
  broker::StreamTable other;
  other.begin(std::make_unique<broker::StreamIndex>(), partition().end_offset() + 1);
  broker::CheckpointWriter writer{instance.disk(), other, file(), partition().id()};
  ASSERT_TRUE(writer.begin(partition().log_epoch()));
  for (int i = 0; i < 1000 && !writer.idle(); ++i) {
    writer.duty(kNoOffset);
    instance.settle();
  }
  ASSERT_TRUE(writer.idle());
  streams.reset();
  instance.crash_and_start();
  begin();
  EXPECT_FALSE(streams->how_started().from_checkpoint);
  EXPECT_NE(streams->how_started().finding, "");
  expect_same(before);
}

TEST_F(EventLog, ThatLosesItsTailToAPowerCutLosesItInTheIndexToo) {
  work(1'500);
  checkpoint();
  work(50);
  instance.settle();
  const auto before = all();
  ask(StreamRequest::kAppend, "order-1");  // committed only
  streams.reset();
  instance.crash_and_start();
  begin();
  expect_same(before);
}

TEST_F(EventLog, GivesRetentionNothingThatNoCheckpointCovers) {
  work(4'000);
  instance.settle();
  const auto before = all();
  const auto retain = [&] {
    broker::TopicSettings limits;
    limits.retention_records = 1;
    return partition().retain(limits, wall_now_ms(), true);
  };
  ASSERT_GT(partition().store()->segments().size(), 3U);
  EXPECT_FALSE(retain());
  EXPECT_EQ(partition().start_offset(), 0U);
  // What retention wants begins a checkpoint, and goes when that is whole.
  const Deadline limit = Deadline::after_ms(10'000);
  while (!retain() && !limit.has_passed()) {
    EXPECT_EQ(streams->duty(boot_now_ns()), std::nullopt);
    instance.settle();
  }
  EXPECT_GT(partition().start_offset(), 0U);
  for (const auto restart : {&LogInstance::restart_broker, &LogInstance::crash_and_start}) {
    streams.reset();
    (instance.*restart)();
    begin();
    EXPECT_TRUE(streams->how_started().from_checkpoint);
    expect_same(before);
  }
}

}  // namespace
}  // namespace mallbots::test
