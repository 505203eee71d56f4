// The bus: how services send and receive messages, whatever carries them. A Publisher sends records
// to topics; a Subscriber gives deliveries to a group, which are acknowledged one by one. Two buses
// stand behind it: ShmBus (shm_bus.h, the broker) and InProcessBus (in_process_bus.h, one process).
//
// Who calls: any thread. One Subscription feeds as many worker threads as call receive(); a
// Delivery is settled once, by any thread. No thread is started and no callback is made.
//
// What is promised, by every bus:
//   at least once  a message is done for its group when ack() or reject() returned without error;
//                  until then it comes again: after nack() with a growing delay, after the death of
//                  the process to another member of the group
//   order per key  of one topic and key, a message is handed out when the one before it is done:
//                  one that fails keeps its key waiting, and nobody else. Without a key: no order.
//   bounded        no more than max_in_flight are handed out; a publisher waits (deadline) instead
//                  of filling memory
//   an end         after max_deliveries a message goes to the dead letters (dead_letter.h)
// A message may come twice after a failure or a hand-over between members: handlers are idempotent.
//
// Errors are values (shm/base/error.h): of publish those of client::Producer, of receive those of
// client::Consumer::poll (is_setback() tells which end the reading) and Closed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "clients/message.h"
#include "clients/producer.h"
#include "shm/base/clock.h"
#include "shm/base/result.h"

namespace mallbots::toolkit {

struct PublishOptions {
  /// Nothing: 30 s from the call on.
  std::optional<Deadline> deadline{};
  /// A message that others act on must survive a power cut. Buses without a disk: kCommitted.
  client::Acks acks = client::Acks::kDurable;
  /// Unix ms before which nobody is given the records; nothing: at once. Unsupported: this bus
  /// cannot delay.
  std::optional<UnixMillis> publish_at{};
};

class Publisher {
 public:
  virtual ~Publisher() = default;
  /// Sends the records to the topic, in order per key. Those of one key become visible at once, all
  /// or none. After an error some keys may have been sent: publishing again gives at least once.
  /// TooLarge: those of one partition together are more than a batch may be (client::Producer).
  [[nodiscard]] virtual Result<void> publish(const std::string& topic,
                                             std::span<const client::Record> records,
                                             const PublishOptions& options = {}) = 0;
};

/// Why a delivery was not acknowledged; goes into its dead letter. Cut at 1 KiB each.
struct Failure {
  std::string type;     ///< class of the failure: an exception's type, an error's name
  std::string text;     ///< what it said
  std::string handler;  ///< who failed
};

/// When a message that was not acknowledged comes again: first_ms, then factor times longer each
/// time, at most max_ms.
struct Redelivery {
  std::int64_t first_ms = 100;
  double factor = 2.0;
  std::int64_t max_ms = 30'000;

  [[nodiscard]] std::int64_t delay_ms(std::uint32_t attempt) const noexcept;
};

/// How the members of a group share its messages. A group keeps its mode.
enum class GroupMode : std::uint8_t {
  /// Each member reads partitions of its own; what is done is a position. Cheapest by far; more
  /// members than partitions are idle.
  kPartitions,
  /// A queue: the broker hands messages to any number of members one by one, each under a lock of
  /// lock_ms, and counts its deliveries. A member's locks end at once when its process dies. ack()
  /// and the others return when the broker has it: they survive the death of any one process. In a
  /// process alone the members of a group share so in either mode.
  kQueue,
};

struct SubscribeOptions {
  std::vector<std::string> topics;
  /// Members of one group share the messages; each group gets all. Keep it when a handler is
  /// renamed: it names what has been read.
  std::string group;
  /// Deliveries handed out and not settled, at least 1.
  std::size_t max_in_flight = 64;
  /// How often a message is tried before it becomes a dead letter; 0: for ever. Counted by the
  /// member: another member starts at 1. kQueue: counted by the group.
  std::uint32_t max_deliveries = 10;
  Redelivery redelivery{};
  /// A member that receives nothing for so long loses its messages to the others; so this is also
  /// the longest time a handler may take when all of max_in_flight are handed out. 0: 5 min.
  std::uint32_t max_poll_interval_ms = 0;
  GroupMode mode = GroupMode::kPartitions;
  /// kQueue, instead of max_poll_interval_ms: how long a delivery is its member's, from when it was
  /// handed to the member on; what waits there is renewed whenever a thread receives or settles.
  /// After it the delivery is Fenced and the message comes again. 10 ms to 24 h; 0: 30 s.
  std::uint32_t lock_ms = 0;
};

class DeliveryHost;  // internal/delivery_host.h

/// One message, handed out. Must be settled before its Subscription is closed; one that is
/// destroyed unsettled counts as nack().
class Delivery {
 public:
  Delivery(std::shared_ptr<DeliveryHost> host, std::uint64_t ticket,
           std::shared_ptr<const client::OwnedMessage> message, std::uint32_t attempt) noexcept;
  Delivery(Delivery&& other) noexcept = default;
  Delivery& operator=(Delivery&& other) noexcept;
  ~Delivery();

  /// Valid as long as this object.
  [[nodiscard]] const client::Message& message() const noexcept { return message_->view(); }
  [[nodiscard]] const client::Message* operator->() const noexcept { return &message_->view(); }
  [[nodiscard]] bool is_settled() const noexcept { return host_ == nullptr; }
  /// 1 at the first delivery.
  [[nodiscard]] std::uint32_t attempt() const noexcept { return attempt_; }

  // Each settles; the second one on the same delivery is a BadArgument. Fenced: the group gave the
  // message to another member meanwhile, it comes again there.

  /// Done. The group's position follows when everything before it in its partition is done too.
  [[nodiscard]] Result<void> ack();
  /// Not done: again later (Redelivery, or after `delay_ms`), or a dead letter if this was the last
  /// attempt. An error of the dead letter's publication is returned, and the message comes again.
  [[nodiscard]] Result<void> nack(const Failure& failure,
                                  std::optional<std::int64_t> delay_ms = {});
  /// Was not tried: again after the delay, and not counted as an attempt.
  [[nodiscard]] Result<void> defer(std::int64_t delay_ms = 0);
  /// Will never be done: a dead letter now.
  [[nodiscard]] Result<void> reject(const Failure& failure);

  /// As ack() of each, in one step; all are of one Subscription. Their messages end with it.
  [[nodiscard]] static Result<void> ack_all(std::span<Delivery> deliveries);

 private:
  [[nodiscard]] std::shared_ptr<DeliveryHost> take_host() noexcept;

  std::shared_ptr<DeliveryHost> host_;  ///< null: settled
  std::uint64_t ticket_;
  std::shared_ptr<const client::OwnedMessage> message_;
  std::uint32_t attempt_;
};

/// Which messages receive_many() may give together.
enum class Reach : std::uint8_t {
  kOneKey,  ///< the next one and those behind it with its topic and key; without key only itself
  kAll,
};

/// Reading costs by the call.
inline constexpr std::size_t kInPlaceAtOnce = 4;

class Subscription {
 public:
  virtual ~Subscription() = default;
  /// The next message; nothing if the deadline passes first. Errors that are no setback end the
  /// subscription. Closed: close() was called.
  [[nodiscard]] virtual Result<std::optional<Delivery>> receive(Deadline deadline) = 0;
  /// Up to `max` messages at once, for one thread that handles those of one key in this order, and
  /// when one fails gives the later ones of its key back (defer). None if the deadline passes
  /// first.
  [[nodiscard]] virtual Result<std::vector<Delivery>> receive_many(std::size_t max, Reach reach,
                                                                   Deadline deadline) = 0;
  /// For the only thread of a subscription: as receive_many(kAll), but when nothing else waits or
  /// is handed out, `handle` gets the messages in place, without a copy. All are done, unless it
  /// fills `done`, which is empty, for each. Those that are not come back as deliveries.
  struct InPlace {
    bool was_handled = false;  ///< `handle` was called; `rest` are those that are not done
    std::vector<Delivery> rest{};
  };
  using HandleInPlace =
      std::function<void(std::span<const client::Message>, std::vector<bool>& done)>;
  [[nodiscard]] virtual Result<InPlace> receive_in_place(std::size_t max, Deadline deadline,
                                                         const HandleInPlace& handle) = 0;
  /// No more deliveries; waits until those handed out are settled, then gives up the membership.
  /// Timeout: some were not; they come again to another member. May be called twice.
  [[nodiscard]] virtual Result<void> close(Deadline deadline) = 0;
};

class Subscriber {
 public:
  virtual ~Subscriber() = default;
  /// Errors: those of client::Consumer::subscribe; BadArgument (no topic, nothing in flight).
  [[nodiscard]] virtual Result<std::unique_ptr<Subscription>> subscribe(
      const SubscribeOptions& options) = 0;
};

}  // namespace mallbots::toolkit
