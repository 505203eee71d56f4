// TestKit: a whole service in one process, for its tests. It gives a bus, a clock that the test
// moves, a router, what was published, and waits until all that was caused is done.
//
//   TestKit kit;
//   ASSERT_TRUE(kit.router().add({.name = "greet", .topics = {"users"}, .group = "g"}, greet));
//   ASSERT_TRUE(kit.start());
//   ASSERT_TRUE(kit.publish("users", {.payload = "Ann"}));
//   ASSERT_TRUE(kit.wait_until_quiet());
//   EXPECT_EQ(kit.published("greetings").at(0)->text(), "Hello Ann");
//
// Who calls: the thread of the test. No test needs to sleep: wait_until_quiet() returns when no
// message is unread, handed out, delayed or scheduled; when only time is missing, it moves the
// clock to the next moment for which something waits.
//
// The chaos switch (chaos_switch.h) reaches every handler of the kit's router.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "clients/toolkit/in_process_bus.h"
#include "clients/toolkit/message.h"
#include "clients/toolkit/router.h"
#include "clients/toolkit/testkit/manual_clock.h"
#include "shm/base/result.h"

namespace mallbots::toolkit {

struct TestKitOptions {
  std::vector<Middleware> middlewares{};  ///< of all handlers
  bool stands_chaos = true;               ///< false: the chaos switch does not reach this kit
};

struct QuietOptions {
  std::int64_t patience_ms = 20'000;  ///< real time
  bool may_move_time = true;
};

class TestKit {
 public:
  explicit TestKit(TestKitOptions options = {});
  TestKit(const TestKit&) = delete;
  TestKit& operator=(const TestKit&) = delete;

  [[nodiscard]] InProcessBus& bus() noexcept { return bus_; }
  [[nodiscard]] ManualClock& clock() noexcept { return clock_; }
  [[nodiscard]] Router& router() noexcept { return router_; }
  [[nodiscard]] Result<void> start() { return router_.start(); }
  [[nodiscard]] Result<void> publish(const std::string& topic, Draft draft);

  /// Work that is not on the bus: how much of it is left (an outbox, a timer table). Called by
  /// wait_until_quiet().
  void also_wait_for(std::string what, std::function<std::size_t()> left);

  /// Timeout: what is still pending, and where.
  [[nodiscard]] Result<void> wait_until_quiet(const QuietOptions& options = {});

  /// All records of a topic, dead letters (TOPIC.GROUP.dlq) included.
  [[nodiscard]] std::vector<client::OwnedMessage> published(const std::string& topic) {
    return bus_.records(topic);
  }
  [[nodiscard]] std::vector<std::string> published_texts(const std::string& topic);
  /// What the router logged.
  [[nodiscard]] std::vector<std::string> log() const;

 private:
  struct Look;

  [[nodiscard]] Look look();

  struct Lines;
  std::shared_ptr<Lines> lines_;
  ManualClock clock_;
  InProcessBus bus_;
  std::vector<std::pair<std::string, std::function<std::size_t()>>> others_;
  Router router_;  ///< last: its handlers end before what they use
};

}  // namespace mallbots::toolkit
