#include "clients/admin.h"
#include "clients/consumer.h"
#include "tests/soak/worker.h"

namespace mallbots::test {
namespace {

using client::Consumer;
using client::Start;

void note_start(Stage& stage, Consumer& consumer, PartitionIndex partition) {
  const auto position = consumer.position({stage.order.topic, partition});
  stage.notes.add(boot_now_ns(), "started " + stage.order.topic + ' ' + std::to_string(partition) +
                                     ' ' + std::to_string(position->offset));
}

std::size_t read_some(Stage& stage, Consumer& consumer, std::int64_t patience_ms) {
  const BootNanos begin = boot_now_ns();
  const auto batch = must("poll", consumer.poll(Deadline::after_ms(patience_ms), 256));
  for (const client::Message& message : batch)
    stage.notes.add_delivery(begin, "read " + stage.order.topic + ' ' + place_of(message) + ' ' +
                                        value_of(message) + ' ' + key_of(message) + ' ' +
                                        std::to_string(message.timestamp_ms));
  stage.notes.write();
  return batch.size();
}

}  // namespace

int read(Stage& stage) {
  const std::string& name = stage.order.topic;
  const auto topic = must("describe", client::Admin{*stage.connection}.describe_topic(name));
  const auto level =
      stage.roll(2) == 0 ? client::ReadLevel::kCommitted : client::ReadLevel::kDurable;
  const auto consumer = must("open", Consumer::open(*stage.connection, {.read = level}));
  for (const auto& partition : topic.partitions) {
    // From somewhere: the beginning is on disk, the end in memory.
    const Offset kept = partition.durable_offset - partition.start_offset;
    const Offset offset =
        partition.start_offset + kept * static_cast<Offset>(stage.roll(101)) / 100;
    must("assign", consumer->assign(name, {&partition.partition, 1}, Start::offset(offset)));
    note_start(stage, *consumer, partition.partition);
  }
  stage.notes.write();
  while (!asked_to_end()) {
    read_some(stage, *consumer, 100);
    if (stage.roll(200) == 0) stage.pause_ms(1'000);
  }
  return 0;
}

int audit(Stage& stage) {
  const std::string& name = stage.order.topic;
  const auto topic = must("describe", client::Admin{*stage.connection}.describe_topic(name));
  const auto consumer =
      must("open", Consumer::open(*stage.connection, {.read = client::ReadLevel::kCommitted}));
  must("assign", consumer->assign(name, {}, Start::oldest()));
  std::size_t left = 0;
  for (const auto& partition : topic.partitions) {
    left += partition.end_offset - partition.start_offset;
    note_start(stage, *consumer, partition.partition);
  }
  for (const Deadline end = Deadline::after_ms(kPatienceMs); left > 0 && !end.has_passed();)
    left -= std::min(left, read_some(stage, *consumer, 500));
  for (const auto& partition : topic.partitions)
    stage.notes.add(boot_now_ns(), "ended " + name + ' ' + std::to_string(partition.partition) +
                                       ' ' + std::to_string(partition.end_offset));
  stage.notes.write();
  return 0;
}

}  // namespace mallbots::test
