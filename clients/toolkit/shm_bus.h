// ShmBus: the bus over the broker's shared memory.
//
// Who calls: any thread; the bus must outlive its subscriptions, and the Connection the bus. A
// subscription opens a connection of its own with the same options. A topic that is
// published to must exist; the topic of a group's dead letters is created with its first letter
// (one partition, records twice as large as the source's).
//
// Members of a group may live in any process. What a completed call promises: publish() with
// kDurable survives a power cut; ack() survives the death of this process and of the broker as soon
// as the group's position has followed (at once, or within 20 ms if another thread is reading), and
// a power cut after the broker's next flush. In queue mode (SubscribeOptions::mode) ack() returns
// when the broker has it.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "clients/connection.h"
#include "clients/toolkit/bus.h"

namespace mallbots::toolkit {

class ShmBus final : public Publisher, public Subscriber {
 public:
  explicit ShmBus(client::Connection& connection);
  ~ShmBus() override;
  ShmBus(const ShmBus&) = delete;
  ShmBus& operator=(const ShmBus&) = delete;

  [[nodiscard]] Result<void> publish(const std::string& topic,
                                     std::span<const client::Record> records,
                                     const PublishOptions& options = {}) override;
  [[nodiscard]] Result<std::unique_ptr<Subscription>> subscribe(
      const SubscribeOptions& options) override;

 private:
  class DeadLetterOffice;

  [[nodiscard]] Result<std::unique_ptr<client::Producer>> take_producer(const std::string& topic);
  void put_back(const std::string& topic, std::unique_ptr<client::Producer> producer);

  client::Connection* connection_;
  std::mutex mutex_;
  /// Not in use; a thread takes one for the time of a call.
  std::map<std::string, std::vector<std::unique_ptr<client::Producer>>> idle_;
  std::unique_ptr<DeadLetterOffice> office_;
};

}  // namespace mallbots::toolkit
