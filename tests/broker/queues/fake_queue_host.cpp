#include "tests/broker/queues/fake_queue_host.h"

#include <algorithm>

namespace mallbots::test {

broker::LogState FakeQueueHost::log(TopicId topic, PartitionIndex partition) {
  const Log& log = logs[{topic, partition}];
  return {.epoch = log.epoch,
          .start = log.start,
          .durable = log.keys.size(),
          .end = log.keys.size(),
          .quarantined = log.quarantined};
}

broker::QueueHost::Keys FakeQueueHost::read_keys(TopicId topic, PartitionIndex partition,
                                                 Offset from) {
  const Log& log = logs[{topic, partition}];
  Keys keys{.records = {}, .next = from};
  while (keys.next < log.keys.size() && keys.next < from + keys_per_read) {
    if (!log.no_messages.contains(keys.next))
      keys.records.emplace_back(keys.next, log.keys[keys.next]);
    ++keys.next;
  }
  return keys;
}

Offset FakeQueueHost::settle(TopicId topic, PartitionIndex partition, Position low) {
  return std::min<Offset>(low.offset, logs[{topic, partition}].keys.size());
}

std::size_t FakeQueueHost::journal(std::span<const std::vector<std::byte>> payloads) {
  const std::size_t count = std::min(payloads.size(), journal_room);
  for (std::size_t i = 0; i < count; ++i) entries.push_back(payloads[i]);
  journal_room -= count;
  return count;
}

void FakeQueueHost::send(SessionIndex session, const shm::Grants& message) {
  grants.emplace_back(session, message);
}

std::optional<Offset> FakeQueueHost::write_letter(const broker::LetterOrder& order) {
  if (letters_fail) return std::nullopt;
  letters.push_back(order);
  return letters.size() - 1;
}

}  // namespace mallbots::test
