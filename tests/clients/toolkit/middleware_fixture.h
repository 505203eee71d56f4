// KitTest: a kit that stands the chaos switch. MiddlewareTest: one handler "h" of group "g" on
// topic "in", a clock in the test's hand, and the lines that were logged.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "clients/toolkit/testkit/test_kit.h"
#include "tests/clients/toolkit/reading.h"

#define ASSERT_OK(result)                          \
  if (const auto& outcome_ = (result); outcome_) { \
  } else                                           \
    FAIL() << #result << ": " << outcome_.error().sentence()
#define EXPECT_OK(result) EXPECT_TRUE((result).has_value()) << (result).error().sentence()

namespace mallbots::test {

using Strings = std::vector<std::string>;

class KitTest : public testing::Test {
 protected:
  /// Said first by a test that counts calls, which chaos changes; all others stand the switch.
  void counts_calls() { stands_chaos_ = false; }
  toolkit::TestKit& kit() {
    if (!kit_)
      kit_ = std::make_unique<toolkit::TestKit>(
          toolkit::TestKitOptions{.stands_chaos = stands_chaos_});
    return *kit_;
  }

 private:
  bool stands_chaos_ = true;
  std::unique_ptr<toolkit::TestKit> kit_;
};

class MiddlewareTest : public KitTest {
 protected:
  void add(std::vector<toolkit::Middleware> middlewares, toolkit::Handler handler,
           std::size_t workers = 1) {
    ASSERT_OK(kit().router().add({.name = "h",
                                  .topics = {"in"},
                                  .group = "g",
                                  .workers = workers,
                                  .redelivery = {.first_ms = 10, .factor = 1, .max_ms = 10},
                                  .middlewares = std::move(middlewares)},
                                 std::move(handler)));
  }
  void publish(toolkit::Draft draft) { ASSERT_OK(kit().publish("in", std::move(draft))); }
  void publish_numbers(int count) {
    for (int i = 0; i < count; ++i) publish({.payload = std::to_string(i)});
  }
  void run() {
    ASSERT_OK(kit().start());
    ASSERT_OK(kit().wait_until_quiet());
  }
  [[nodiscard]] std::int64_t passed_ms() {
    return (kit().clock().now_ns() - toolkit::ManualClock{}.now_ns()) / kMillisecond;
  }
  [[nodiscard]] std::size_t dead() { return kit().published("in.g.dlq").size(); }

  std::mutex mutex_;
  Strings lines_;
  toolkit::Log log_ = [this](const toolkit::LogLine& line) {
    const std::scoped_lock lock{mutex_};
    lines_.push_back(toolkit::as_text(line));
  };
};

}  // namespace mallbots::test
