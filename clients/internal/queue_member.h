// QueueMember: what a QueueConsumer knows: what it holds, what it has settled and not yet heard of,
// and how it comes through a replacement of the broker.
//
//   granted ──poll──▶ out ──settle──▶ noted ──send──▶ sent ──Settled──▶ forgotten
//      │               │                                │
//      └───────────────┴── lock over, or not confirmed ─┴──▶ failed
//                          by a new broker
//
// From the consumer's thread; wait() from any.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "clients/consumer.h"
#include "clients/internal/link.h"
#include "clients/internal/readings.h"
#include "clients/queue_consumer.h"

namespace mallbots::client {

class QueueMember {
 public:
  static constexpr std::uint32_t kMaxDelayMs = 24 * 3600 * 1000;

  QueueMember(Link& link, const QueueConsumerOptions& options);

  /// How a delivery ended.
  struct Settlement {
    shm::Outcome outcome = shm::Outcome::kAck;
    std::uint32_t delay_ms = 0;
    QueueFailure failure{};
  };

  [[nodiscard]] Result<void> join(std::span<const std::string> topics, const std::string& group);
  [[nodiscard]] Result<void> leave(Deadline deadline);
  [[nodiscard]] Result<std::vector<QueueMessage>> poll(Deadline deadline, std::size_t max_messages);
  [[nodiscard]] Result<void> settle(const QueueToken& token, const Settlement& settlement);
  [[nodiscard]] Result<void> flush(Deadline deadline);
  [[nodiscard]] Result<void> pump(Deadline deadline);
  void wait(Deadline deadline) const;

  [[nodiscard]] bool is_unconfirmed(const QueueToken& token) const;
  [[nodiscard]] std::vector<FailedSettlement> take_failures();
  [[nodiscard]] std::size_t in_flight() const noexcept { return out_; }
  [[nodiscard]] Deadline usual() const noexcept {
    return Deadline::after_ms(link_->options().reconnect_timeout_ms);
  }

 private:
  using Place = std::pair<std::uint64_t, PartitionIndex>;  ///< topic id, partition
  struct Key {
    Place place;
    Offset offset = 0;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Held {
    std::uint32_t attempt = 0;
    BootNanos until = 0;
    bool is_out = false;    ///< given by poll()
    bool confirmed = true;  ///< false: not yet, by the broker that serves now
  };
  struct Item {
    Offset offset = 0;
    std::uint32_t attempt = 0;
    Settlement settlement;
  };
  struct Batch {
    Place place;
    std::vector<Item> items;
    bool again = false;  ///< asked before, of a broker that died
  };

  [[nodiscard]] Result<void> send_join(Deadline deadline);
  void attach_again(Deadline deadline);
  void fence_unconfirmed();
  void take_pushes();
  void take(const shm::Grants& grants);
  void take(const shm::Settled& settled);
  void send_noted();
  void give_back_all(Deadline deadline);
  [[nodiscard]] bool send(std::uint64_t number, const Batch& batch);
  void drop_expired();
  [[nodiscard]] Result<void> collect(std::vector<QueueMessage>& out, std::size_t max_messages);
  [[nodiscard]] bool read_some(Reading& reading, const Place& place, std::vector<QueueMessage>& out,
                               std::size_t max_messages);
  void drop_deleted();
  [[nodiscard]] TopicMemory* topic_at(const Place& place);
  void unreadable(const Place& place, Offset below);
  void failed(const Place& place, Offset offset, std::uint32_t attempt, ErrorCode code);
  void forget(std::map<Key, Held>::iterator held);
  [[nodiscard]] std::string topic_of(std::uint64_t id) const;
  [[nodiscard]] std::optional<Key> key_of(const QueueToken& token) const;

  Link* link_;
  QueueConsumerOptions options_;
  ConsumerOptions reading_options_;
  Readings readings_;
  mutable std::mutex attachment_lock_;  ///< wait() reads it from other threads
  Attachment attachment_;
  std::atomic<std::uint32_t> news_seen_{0};
  std::string group_;  ///< empty: in none
  std::vector<std::string> topics_;
  std::uint64_t group_id_ = 0;
  bool join_due_ = false;
  std::uint32_t again_left_ = 0;  ///< grants that a new broker has yet to say again

  std::map<Key, Held> held_;
  std::map<Place, std::set<Offset>> wanted_;  ///< granted, not given yet
  std::size_t out_ = 0;
  BootNanos next_expiry_ = INT64_MAX;
  bool say_alive_ = false;
  bool leaving_ = false;
  std::map<Place, std::vector<Item>> noted_;
  std::size_t noted_count_ = 0;
  std::map<std::uint64_t, Batch> sent_;
  /// By attempt: the next one of the same record may be granted before the answer comes.
  std::set<std::pair<Key, std::uint32_t>> unconfirmed_;
  std::uint64_t next_number_ = 1;
  std::vector<FailedSettlement> failures_;
  std::vector<Message> scratch_;
  std::optional<Error> pending_;
};

}  // namespace mallbots::client
