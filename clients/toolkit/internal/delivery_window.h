// DeliveryWindow: what a group member has read and not done yet. It says which message may be
// handed out now, keeps the messages of one key in order, brings failed ones back after their
// delay, and tells up to where each partition is done.
//
// Who calls: one thread at a time (the engine's lock). No I/O, no clock of its own, no errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "clients/consumer.h"
#include "clients/toolkit/bus.h"
#include "clients/toolkit/internal/delivery_host.h"

namespace mallbots::toolkit {

class DeliveryWindow {
 public:
  using Ticket = std::uint64_t;

  explicit DeliveryWindow(std::size_t max_in_flight) noexcept : max_in_flight_(max_in_flight) {}

  /// How many more messages it takes: enough to find others when one key is kept waiting.
  [[nodiscard]] std::size_t room() const noexcept;
  /// Messages of a partition come in the order of their offsets.
  void add(client::OwnedMessage&& message);

  struct HandedOut {
    Ticket ticket = 0;
    std::shared_ptr<const client::OwnedMessage> message;
    std::uint32_t attempt = 0;
  };
  /// The next message that may be handed out, if any.
  [[nodiscard]] std::optional<HandedOut> take(BootNanos now);
  /// When a delayed message becomes ready; INT64_MAX: none waits.
  [[nodiscard]] BootNanos next_ready() const noexcept;
  [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_; }

  /// What is known of a message that is handed out; nothing: its partition was taken away.
  struct History {
    std::shared_ptr<const client::OwnedMessage> message;
    std::uint32_t attempts = 0;
    Failure first;
    UnixMillis first_failed_ms = 0;
  };
  [[nodiscard]] std::optional<History> history(Ticket ticket) const;
  /// False: its partition was taken away meanwhile.
  bool done(Ticket ticket);
  bool again(Ticket ticket, BootNanos not_before, const Failure& failure, UnixMillis failed_ms);

  /// Partitions that are done further than when asked last: up to and with which offset.
  struct Progress {
    client::TopicPartition partition;
    Offset done = 0;
  };
  [[nodiscard]] std::vector<Progress> take_progress();

  /// The partition belongs to another member now. What is handed out of it can not be settled.
  void drop(const client::TopicPartition& partition);

 private:
  struct Entry {
    Ticket ticket = 0;
    std::shared_ptr<const client::OwnedMessage> message;
    std::string lane;  ///< topic and key; empty: no key
    std::uint32_t attempts = 0;
    bool is_out = false;
    BootNanos not_before = 0;
    Failure first;
    UnixMillis first_failed_ms = 0;
  };
  /// Offsets of one partition that are not done, and the last one that came.
  struct Marks {
    std::set<Offset> open;
    Offset last = 0;
    Offset told_end = kNoOffset;  ///< behind what take_progress has told
  };
  using PartitionKey = std::pair<std::string, PartitionIndex>;

  [[nodiscard]] static PartitionKey partition_of(const Entry& entry);
  void make_ready(Entry& entry);
  void forget(std::map<Ticket, Entry>::iterator entry);

  std::size_t max_in_flight_;
  Ticket next_ticket_ = 1;
  std::size_t in_flight_ = 0;
  std::map<Ticket, Entry> entries_;  ///< in the order of arrival
  std::set<Ticket> ready_;
  std::set<std::pair<BootNanos, Ticket>> delayed_;
  std::unordered_map<std::string, std::deque<Ticket>>
      lanes_;  ///< the first is ready, delayed or out
  std::map<PartitionKey, Marks> partitions_;
};

}  // namespace mallbots::toolkit
