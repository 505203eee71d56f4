// DeliveryWindow: what a group member has read and not done yet. It says which message may be
// handed out now, keeps the messages of one key in order, brings failed ones back after their
// delay, and tells up to where each partition is done.
//
// A lane is the messages of one topic and key, in order. Of each lane one receiver at a time has
// messages, one or several from its front; when all of them are settled, the next ones may go.
//
// Who calls: one thread at a time (the engine's lock). No I/O, no clock of its own, no errors.
// Nothing is allocated for a message once as many were there at the same time before and its key
// was.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
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
  /// Messages of a partition come in the order of their offsets. With one of a topic that was made
  /// anew under its name, what is left of the old one is dropped.
  void add(const client::Message& message);

  /// They are done without having been here; nothing is open. Those of a partition lie together.
  void pass(std::span<const client::Message> messages);

  struct HandedOut {
    Ticket ticket = 0;
    std::shared_ptr<const client::OwnedMessage> message;
    std::uint32_t attempt = 0;
  };
  /// The next message that may be handed out, if any.
  [[nodiscard]] std::optional<HandedOut> take(BootNanos now);
  /// Up to `max` messages for one receiver: the next one and those behind it in its lane, and with
  /// `reach` kAll further lanes and messages without key. Appends to `out`.
  void take_many(BootNanos now, std::size_t max, Reach reach, std::vector<HandedOut>& out);
  /// Lanes and messages without key that take() would give now.
  [[nodiscard]] std::size_t ready() const noexcept {
    return std::min(ready_.size(), max_in_flight_ - in_flight_);
  }
  /// When a delayed message becomes ready; INT64_MAX: none waits.
  [[nodiscard]] BootNanos next_ready() const noexcept;
  [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_; }
  /// Messages that were added and are not done.
  [[nodiscard]] std::size_t open() const noexcept { return entries_.size() - free_.size(); }

  /// What is known of a message that is handed out; nothing: its partition was taken away.
  struct History {
    std::shared_ptr<const client::OwnedMessage> message;
    std::uint32_t attempts = 0;
    Failure first;
    UnixMillis first_failed_ms = 0;
  };
  [[nodiscard]] std::optional<History> history(Ticket ticket) const;
  // False: its partition was taken away meanwhile.
  bool done(Ticket ticket);
  bool again(Ticket ticket, BootNanos not_before, const Failure& failure, UnixMillis failed_ms);
  /// It was not tried: as if it had not been handed out, but not before then.
  bool put_back(Ticket ticket, BootNanos not_before);

  /// Partitions that are done further than when asked last: up to and with which offset.
  struct Progress {
    client::TopicPartition partition;
    std::uint64_t topic_id = 0;  ///< as its messages had it
    Offset done = 0;
  };
  [[nodiscard]] std::vector<Progress> take_progress();

  /// The partition belongs to another member now. What is handed out of it can not be settled.
  void drop(const client::TopicPartition& partition);

 private:
  using Index = std::uint32_t;
  static constexpr Index kNone = ~Index{0};

  /// Offsets of one partition from the first that is not done, and the last one that came.
  struct Marks {
    struct Mark {
      Offset offset = 0;
      bool done = false;
    };
    std::string topic;
    PartitionIndex partition = 0;
    std::uint64_t topic_id = 0;
    std::deque<Mark> open;
    std::uint64_t popped = 0;  ///< marks that have left `open` at its front
    Offset last = 0;
    Offset told_end = kNoOffset;  ///< behind what take_progress has told
    bool is_changed = false;
  };
  struct Lane {
    Index head = kNone;
    Index tail = kNone;
    std::size_t out = 0;
    bool queued = false;  ///< its head is among the ready or the delayed
  };
  struct FirstFailure {
    Failure failure;
    UnixMillis at_ms = 0;
  };
  enum class State : std::uint8_t { kFree, kWaiting, kOut };
  struct Entry {
    Ticket ticket = 0;
    std::shared_ptr<client::OwnedMessage> message;
    Marks* marks = nullptr;
    std::uint64_t mark = 0;  ///< its number among the partition's marks
    Lane* lane = nullptr;    ///< null: no key
    Index before = kNone;    ///< in its lane
    Index behind = kNone;
    State state = State::kFree;
    std::uint32_t attempts = 0;
    BootNanos not_before = 0;
    std::unique_ptr<FirstFailure> first;
  };

  [[nodiscard]] Index index_of(Ticket ticket) const noexcept;
  [[nodiscard]] Index handed_out(Ticket ticket) const noexcept;
  [[nodiscard]] Marks& marks_of(const client::Message& message);
  [[nodiscard]] Lane* lane_of(const client::Message& message);
  [[nodiscard]] Index new_entry();
  void queue(Index index);
  [[nodiscard]] HandedOut hand_out(Index index);
  void settled(Index index);
  void unlink(Index index);
  void free_entry(Index index);

  std::size_t max_in_flight_;
  std::uint64_t next_serial_ = 1;
  std::size_t in_flight_ = 0;
  std::deque<Entry> entries_;
  std::vector<Index> free_;
  std::vector<Ticket> ready_;  ///< a heap, the oldest on top
  std::set<std::pair<BootNanos, Ticket>> delayed_;
  std::unordered_map<std::string, Lane> lanes_;
  std::string lane_name_;  ///< of the search, kept for its memory
  std::map<std::pair<std::string, PartitionIndex>, Marks> partitions_;
  Marks* last_marks_ = nullptr;
  std::vector<Marks*> changed_;
};

}  // namespace mallbots::toolkit
