// InProcessBus: the bus within one process, without broker and disk: for components that live in
// one binary, and for tests of them. Same promises as every bus (bus.h), so that what is tested
// here runs unchanged on the broker.
//
// A topic is made by its first use and has one partition. Its records are kept until every group
// that has ever subscribed is done with them, and publish() waits (Timeout) rather than keep more
// than max_records; before the first group the last max_records are kept for it. With `keep_all`
// nothing is forgotten, and every new group reads from the start. Members of one group share its
// messages; a group remembers its position after its last member has left. Records that are
// published for later (publish_at) get their place when their time has come. Everything ends with
// the process; kDurable means kCommitted.
//
// Who calls: any thread; the bus must outlive its subscriptions.
//
// A topic's records are handed over under its lock, not through a lock-free queue: those of many
// publishers give an order of their own, and two threads that publish one after the other would see
// their records swapped.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "clients/toolkit/bus.h"
#include "clients/toolkit/clock.h"

namespace mallbots::toolkit {

struct InProcessOptions {
  std::size_t max_records = 65'536;  ///< per topic
  bool keep_all = false;
  Clock* clock = nullptr;  ///< of delays and stamps; outlives the bus. Null: system_clock()
};

/// What a bus still has to do, so that a test can wait until all is done.
struct Backlog {
  struct Group {
    std::string group;
    std::size_t members = 0;
    std::size_t unread = 0;
    std::size_t in_flight = 0;   ///< handed out
    std::size_t ready = 0;       ///< may be handed out
    std::size_t waiting = 0;     ///< for their key or their delay
    std::size_t receiving = 0;   ///< threads that ask for more
    BootNanos next_ns = kNever;  ///< when the first delayed one comes

    [[nodiscard]] std::size_t open() const noexcept { return unread + in_flight + ready + waiting; }
  };
  std::vector<Group> groups;
  std::size_t scheduled = 0;   ///< records whose time has not come
  BootNanos next_ns = kNever;  ///< when the first of them comes
  /// Equal in two looks: nothing happened between them, so the first one was no mixture.
  std::uint64_t changes = 0;
};

class InProcessBus final : public Publisher, public Subscriber {
 public:
  explicit InProcessBus(const InProcessOptions& options = {});
  ~InProcessBus() override;
  InProcessBus(const InProcessBus&) = delete;
  InProcessBus& operator=(const InProcessBus&) = delete;

  [[nodiscard]] Result<void> publish(const std::string& topic,
                                     std::span<const client::Record> records,
                                     const PublishOptions& options = {}) override;
  /// Members of a group must name the same topics (BadArgument). The first one's options count.
  [[nodiscard]] Result<std::unique_ptr<Subscription>> subscribe(
      const SubscribeOptions& options) override;

  [[nodiscard]] Backlog backlog();
  /// What is kept of a topic, in order.
  [[nodiscard]] std::vector<client::OwnedMessage> records(const std::string& topic);

 private:
  class Topics;
  struct Group;

  std::shared_ptr<Topics> topics_;
  std::mutex mutex_;
  std::map<std::string, Group> groups_;
};

}  // namespace mallbots::toolkit
