// BrokerKit: a whole service in one process against a broker of the test's own: its bus, a router,
// and waiting until all that was caused is done. TestKit (test_kit.h) is the same without a broker
// and with a clock in the test's hand; here time is real.
//
//   Daemon daemon;                                       // in folders of its own
//   auto kit = BrokerKit::open({.runtime_dir = daemon.runtime_dir()}).value();
//   ASSERT_TRUE(kit->topics({"users", "greetings"}));
//   ASSERT_TRUE(kit->router().add({.name = "greet", .topics = {"users"}, .group = "g"}, greet));
//   ASSERT_TRUE(kit->start());
//   ASSERT_TRUE(kit->publish("users", {.payload = "Ann"}));
//   ASSERT_TRUE(kit->wait_until_quiet());
//   EXPECT_EQ(kit->published_texts("greetings").value().at(0), "Hello Ann");
//
// The broker belongs to the test alone: quiet means that no group of it has anything to do. The
// chaos switch (chaos_switch.h) reaches every handler of the kit's router. Who calls: the thread of
// the test. Errors: those of Connection, Admin, Consumer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "clients/connection.h"
#include "clients/toolkit/message.h"
#include "clients/toolkit/router.h"
#include "clients/toolkit/shm_bus.h"
#include "shm/base/result.h"

namespace mallbots::toolkit {

class BrokerKit {
 public:
  [[nodiscard]] static Result<std::unique_ptr<BrokerKit>> open(
      const client::ConnectionOptions& where, RouterOptions options = {});
  BrokerKit(const BrokerKit&) = delete;
  BrokerKit& operator=(const BrokerKit&) = delete;

  [[nodiscard]] client::Connection& connection() noexcept { return *connection_; }
  [[nodiscard]] ShmBus& bus() noexcept { return bus_; }
  [[nodiscard]] Router& router() noexcept { return router_; }
  /// Makes them, small.
  [[nodiscard]] Result<void> topics(const std::vector<std::string>& names);
  [[nodiscard]] Result<void> start() { return router_.start(); }
  [[nodiscard]] Result<void> publish(const std::string& topic, Draft draft);

  /// Work that is not in the broker: how much of it is left (an outbox).
  void also_wait_for(std::string what, std::function<std::size_t()> left);
  /// Returns when no group has a message that is not done, nothing is delayed, and no record came
  /// between two looks. Timeout: what is still pending, and where.
  [[nodiscard]] Result<void> wait_until_quiet(std::int64_t patience_ms = 20'000);

  /// All payloads of a topic, partition after partition; dead letters (TOPIC.GROUP.dlq) included.
  [[nodiscard]] Result<std::vector<std::string>> published_texts(const std::string& topic);

 private:
  struct Look;
  BrokerKit(std::unique_ptr<client::Connection> connection, RouterOptions options)
      : connection_(std::move(connection)), bus_(*connection_), router_(bus_, std::move(options)) {}
  [[nodiscard]] Result<Look> look();

  std::unique_ptr<client::Connection> connection_;
  ShmBus bus_;
  std::vector<std::pair<std::string, std::function<std::size_t()>>> others_;
  Router router_;  ///< last: its handlers end before what they use
};

}  // namespace mallbots::toolkit
