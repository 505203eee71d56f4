// FakeQueueHost: logs, journal and clients in plain memory, and a referee that watches what is
// handed out: nothing to two at once, nothing after it was done, keys in their order.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "broker/queues/queues.h"

namespace mallbots::test {

class FakeQueueHost final : public broker::QueueHost {
 public:
  struct Log {
    std::vector<std::uint64_t> keys;  ///< one a record
    std::set<Offset> no_messages;     ///< offsets that are none
    Offset start = 0;
    LogEpoch epoch = 1;
    bool unreadable = false;  ///< for a look by time
    bool quarantined = false;
  };
  struct Held {
    SessionIndex session = 0;
    std::uint32_t attempt = 0;
  };

  // QueueHost
  broker::LogState log(TopicId topic, PartitionIndex partition) override;
  Keys read_keys(TopicId topic, PartitionIndex partition, Offset from) override;
  Offset settle(TopicId topic, PartitionIndex partition, Position low) override;
  Result<Offset> offset_at(TopicId topic, PartitionIndex partition, UnixMillis) override {
    if (logs[{topic, partition}].unreadable) return fail(ErrorCode::kIo, "open 0000000001.seg");
    return 0;
  }
  std::size_t journal(std::span<const std::vector<std::byte>> payloads) override;
  Offset journal_end() override { return entries.size(); }
  void journal_covered(Offset floor, Offset end) override { covered.emplace_back(floor, end); }
  void send(SessionIndex session, const shm::Grants& grants) override;
  void send(SessionIndex session, const shm::Settled& settled) override {
    answers.emplace_back(session, settled);
  }
  std::optional<Offset> write_letter(const broker::LetterOrder& order) override;
  bool is_letter_durable(const broker::QueueIdentity&, Offset letter) override {
    return letter < durable_letters;
  }
  bool has_letter(const broker::QueueIdentity&, Offset letter) override {
    return letter < kept_letters;
  }
  bool is_alive(const broker::Holder& holder) override {
    return alive.contains({holder.session, holder.token});
  }
  UnixMillis wall_ms() override { return wall; }
  void report(const broker::QueueIdentity&, const std::string& sentence) override {
    reports.push_back(sentence);
  }

  std::map<std::pair<TopicId, PartitionIndex>, Log> logs;
  std::vector<std::vector<std::byte>> entries;
  std::size_t journal_room = ~std::size_t{0};
  std::vector<std::pair<Offset, Offset>> covered;
  std::vector<std::pair<SessionIndex, shm::Grants>> grants;
  std::vector<std::pair<SessionIndex, shm::Settled>> answers;
  std::vector<broker::LetterOrder> letters;
  bool letters_fail = false;
  Offset durable_letters = kNoOffset;
  Offset kept_letters = kNoOffset;
  std::set<std::pair<SessionIndex, std::uint64_t>> alive;
  UnixMillis wall = 1'000'000;
  std::vector<std::string> reports;
  std::size_t keys_per_read = 8;
};

}  // namespace mallbots::test
