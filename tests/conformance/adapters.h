// What makes the bus over the broker another one: groups in queue mode, and topics of events.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "clients/event_store.h"
#include "clients/toolkit/bus.h"

namespace mallbots::test {

/// Every group is a queue. Its lock time is what its max_poll_interval would be.
class QueueSubscriber final : public toolkit::Subscriber {
 public:
  explicit QueueSubscriber(toolkit::Subscriber& bus) noexcept : bus_(&bus) {}
  [[nodiscard]] Result<std::unique_ptr<toolkit::Subscription>> subscribe(
      const toolkit::SubscribeOptions& options) override;

 private:
  toolkit::Subscriber* bus_;
};

/// Records become events: those of one key of its stream, one without a key of a stream of its own.
class EventPublisher final : public toolkit::Publisher {
 public:
  explicit EventPublisher(client::Connection& connection) noexcept : connection_(&connection) {}
  [[nodiscard]] Result<void> publish(const std::string& topic,
                                     std::span<const client::Record> records,
                                     const toolkit::PublishOptions& options) override;

 private:
  [[nodiscard]] Result<std::unique_ptr<client::EventStore>> take(const std::string& topic);
  [[nodiscard]] std::string stream_of(const client::Record& record);

  client::Connection* connection_;
  std::mutex mutex_;
  std::map<std::string, std::vector<std::unique_ptr<client::EventStore>>> idle_;
  std::atomic<std::uint64_t> unnamed_{0};
};

}  // namespace mallbots::test
