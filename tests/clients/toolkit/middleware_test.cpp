// What middlewares do with failures, with the numbers of M6 and M15, and the defects that must not
// be here.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>

#include "clients/toolkit/dead_letter.h"
#include "clients/toolkit/middleware/breaker.h"
#include "clients/toolkit/middleware/chaos.h"
#include "clients/toolkit/middleware/dedup.h"
#include "clients/toolkit/middleware/logging.h"
#include "clients/toolkit/middleware/poison.h"
#include "clients/toolkit/middleware/retry.h"
#include "clients/toolkit/middleware/throttle.h"
#include "clients/toolkit/middleware/timeout.h"
#include "tests/clients/toolkit/middleware_fixture.h"
#include "tests/support/process.h"

namespace mallbots::test {
namespace {

using namespace toolkit;
// --- Retry

TEST_F(MiddlewareTest, M6_1_RetriesTenTimesFrom100MsDoublingUpToASecondAndLogsEachFailure) {
  counts_calls();
  std::vector<std::int64_t> calls;
  add({logging(log_), poison(), retry()}, [&](Context&, const Message&) -> Handled {
    calls.push_back(passed_ms());
    if (calls.size() <= 10) return try_again("Http500", "the provider is down");
    return {};
  });
  publish({.payload = "x", .id = "id-1"});
  run();
  EXPECT_EQ(calls, (std::vector<std::int64_t>{0, 100, 300, 700, 1'500, 2'500, 3'500, 4'500, 5'500,
                                              6'500, 7'500}));
  EXPECT_EQ(dead(), 0U);
  ASSERT_EQ(lines_.size(), 11U);
  for (int i = 0; i < 10; ++i) {
    EXPECT_NE(lines_[i].find("message_id=id-1"), std::string::npos) << lines_[i];
    EXPECT_NE(lines_[i].find("error=Http500"), std::string::npos) << lines_[i];
  }
}

TEST_F(MiddlewareTest, WhatRetryingDidNotMendIsADeadLetterWithItsAttempts) {
  add({poison(), retry({.times = 2})},
      [](Context&, const Message&) -> Handled { return try_again("Down", "still"); });
  publish({.payload = "x"});
  run();
  const auto letters = kit().published("in.g.dlq");
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0]->header(kDeadAttempts), "3");
  EXPECT_EQ(letters[0]->header(kDeadType), "Down");
}

TEST_F(MiddlewareTest, M6_2_OfAWrongTypeBrokenOrUnwantedIsRemovedAndLoggedAndTheQueueGoesOn) {
  std::set<std::string> handled;
  add({logging(log_), poison(), retry()}, [&](Context&, const Message& message) -> Handled {
    if (message.name() != "OrderPlaced") return give_up("WrongType", std::string{message.name()});
    if (message.payload() == "{") return give_up("Malformed", "it ends too early");
    if (message.id() == "unwanted") return give_up("Unwanted", "this one");
    handled.insert(message.id());
    return {};
  });
  publish({.payload = "{}", .name = "OrderPlaced", .id = "first"});
  publish({.payload = "{}", .name = "Weather", .id = "type"});
  publish({.payload = "{", .name = "OrderPlaced", .id = "broken"});
  publish({.payload = "{}", .name = "OrderPlaced", .id = "unwanted"});
  publish({.payload = "{}", .name = "OrderPlaced", .id = "last"});
  run();
  EXPECT_EQ(handled, (std::set<std::string>{"first", "last"}));
  EXPECT_EQ(dead(), 3U);
  for (const char* id : {"type", "broken", "unwanted"})
    EXPECT_EQ(std::ranges::count_if(lines_,
                                    [&](const std::string& line) {
                                      return line.contains("message_id=" + std::string{id} + " ") &&
                                             line.contains("next=\"dead letter\"");
                                    }),
              1)
        << id;
  EXPECT_EQ(passed_ms(), 0) << "none was tried again";
}

TEST_F(MiddlewareTest, M6_3_APermanentFailureIsNotRetried) {
  std::atomic<int> calls{0};
  add({poison(), retry()}, [&](Context&, const Message&) -> Handled {
    ++calls;
    return give_up("NoSuchOrder", "42");
  });
  publish({.payload = "x"});
  run();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(dead(), 1U);
}

TEST_F(MiddlewareTest, RetryingOneKeyHoldsNoOtherUp) {
  std::map<std::string, std::int64_t> done_at;
  add({poison(), retry()}, [&](Context&, const Message& message) -> Handled {
    if (message.key() == "bad" && message.attempt() <= 10) return try_again("Down", "still");
    done_at[std::string{message.key()}] = passed_ms();
    return {};
  });
  publish({.payload = "x", .key = "bad"});
  for (int i = 0; i < 20; ++i) publish({.payload = "x", .key = "good" + std::to_string(i)});
  run();
  EXPECT_EQ(done_at.size(), 21U);
  for (const auto& [key, at] : done_at) EXPECT_EQ(at, key == "bad" ? 7'500 : 0) << key;
}

TEST_F(MiddlewareTest, DelayedRedeliveryFollowsTheQuickRetries) {
  std::vector<std::int64_t> calls;
  add({poison(), retry({.times = 1, .later_ms = {10'000, 60'000}})},
      [&](Context&, const Message&) -> Handled {
        calls.push_back(passed_ms());
        return try_again("Down", "still");
      });
  publish({.payload = "x"});
  run();
  EXPECT_EQ(calls, (std::vector<std::int64_t>{0, 100, 10'100, 70'100}));
  EXPECT_EQ(dead(), 1U);
}

TEST_F(MiddlewareTest, M6_4_AMessageWaitsForTheMendedBuild) {
  std::atomic<bool> is_mended{false};
  std::map<std::string, std::string> currencies;
  const Handler handler = [&](Context&, const Message& message) -> Handled {
    auto currency = message.header("currency");
    if (!currency && !is_mended) throw std::logic_error{"no currency"};
    currencies[std::string{message.payload()}] = currency.value_or("USD");
    return {};
  };
  add({poison(), retry({.never_give_up = true})}, handler);
  publish_numbers(5);
  publish({.payload = "5", .headers = {{"currency", "EUR"}}});
  ASSERT_OK(kit().start());
  for (int i = 0; i < 20; ++i) kit().clock().advance_ms(10'000);
  is_mended = true;
  ASSERT_OK(kit().wait_until_quiet());
  EXPECT_EQ(
      currencies,
      (std::map<std::string, std::string>{
          {"0", "USD"}, {"1", "USD"}, {"2", "USD"}, {"3", "USD"}, {"4", "USD"}, {"5", "EUR"}}));
  EXPECT_EQ(dead(), 0U);
}

TEST_F(MiddlewareTest, AFactorOfOneAndAHalfIsOneAndAHalfAndADelayMayBeShortD6D7) {
  std::vector<std::int64_t> calls;
  add({poison(), retry({.times = 3, .first_ms = 10, .factor = 1.5})},
      [&](Context&, const Message&) -> Handled {
        calls.push_back(passed_ms());
        return try_again("Down", "still");
      });
  publish({.payload = "x"});
  run();
  EXPECT_EQ(calls, (std::vector<std::int64_t>{0, 10, 25, 47}));
}

TEST_F(MiddlewareTest, NothingCirculatesForEverD13) {
  std::atomic<int> calls{0};
  add({}, [&](Context&, const Message&) -> Handled {
    ++calls;
    return try_again("Down", "always");
  });
  publish({.payload = "x"});
  run();
  EXPECT_EQ(calls, 10) << "without any middleware: the usual cap";
  EXPECT_EQ(dead(), 1U);
}

// --- Poison

TEST_F(MiddlewareTest, M15_3_ThePoisonFilterTakesWhatCannotBeMended) {
  std::atomic<int> stores{0};
  std::set<std::string> stored;
  add({poison({.filter = [](const HandlerFailure& f) { return f.type == "NoLink"; }}), retry()},
      [&](Context&, const Message& message) -> Handled {
        if (std::stoi(std::string{message.payload()}) % 3 == 0) return try_again("NoLink", "empty");
        if (++stores % 5 == 0) return try_again("StoreDown", "every fifth call");
        stored.emplace(message.payload());
        return {};
      });
  publish_numbers(20);
  run();
  EXPECT_EQ(stored.size(), 13U);
  EXPECT_EQ(dead(), 7U);
  for (const auto& letter : kit().published("in.g.dlq"))
    EXPECT_EQ(letter->header(kDeadType), "NoLink");
}

TEST_F(MiddlewareTest, M15_6_LaterMessagesOfAPoisonedKeyAreParkedUntilItIsReleased) {
  const auto parked = std::make_shared<ParkedKeys>();
  std::set<std::string> handled;
  add({poison({.parked = parked}), retry()}, [&](Context&, const Message& message) -> Handled {
    if (message.payload() == "bad") return give_up("Malformed", "bad");
    handled.emplace(message.payload());
    return {};
  });
  publish({.payload = "bad", .key = "a"});
  publish({.payload = "a2", .key = "a"});
  publish({.payload = "b1", .key = "b"});
  run();
  EXPECT_EQ(handled, std::set<std::string>{"b1"});
  EXPECT_EQ(kit().published_texts("in.g.dlq"), (Strings{"bad", "a2"}));
  EXPECT_EQ(kit().published("in.g.dlq")[1]->header(kDeadType), "Parked");
  ASSERT_EQ(parked->all(), (std::vector<ParkedKeys::Key>{{"in", "a"}}));
  parked->release({"in", "a"});
  publish({.payload = "a3", .key = "a"});
  ASSERT_OK(kit().wait_until_quiet());
  EXPECT_EQ(handled, (std::set<std::string>{"a3", "b1"}));
}

// --- Breaker, throttle, timeout

TEST_F(MiddlewareTest, M15_2_TheBreakerLetsAProviderRecoverAndAllAreDeliveredWithin5s) {
  BootNanos down_until = kit().clock().now_ns() + 100 * kMillisecond;
  std::set<std::string> delivered;
  std::vector<Circuit> changes;
  add(
      {poison(), retry({.first_ms = 10, .max_ms = 10, .never_give_up = true}),
       breaker({.open_ms = 1'000,
                .on_change = [&](const HandlerInfo&,
                                 Circuit circuit) { changes.push_back(circuit); }})},
      [&](Context& context, const Message& message) -> Handled {
        const std::scoped_lock lock{mutex_};
        if (context.clock().now_ns() < down_until) {
          down_until = context.clock().now_ns() + 100 * kMillisecond;
          return try_again("Down", "and each call makes it worse");
        }
        delivered.emplace(message.payload());
        return {};
      },
      4);
  publish_numbers(20);
  run();
  EXPECT_EQ(delivered.size(), 20U);
  EXPECT_LT(passed_ms(), 5'000);
  EXPECT_EQ(changes, (std::vector<Circuit>{Circuit::kOpen, Circuit::kTrying, Circuit::kClosed}));
}

TEST_F(MiddlewareTest, AnExceptionOfAMiddlewareIsAFailureForThoseAroundIt) {
  counts_calls();
  std::atomic<int> calls{0};
  std::vector<Circuit> changes;
  const Middleware throwing{.name = "throwing", .wrap = [&](Handler next, const HandlerInfo&) {
                              return [&, next = std::move(next)](
                                         Context& context, const Message& message) -> Handled {
                                ++calls;
                                if (message.payload() == "bad") throw std::runtime_error{"no key"};
                                return next(context, message);
                              };
                            }};
  add({poison(), retry({.times = 1, .first_ms = 1'000}), dedup(),
       breaker(
           {.failures = 1,
            .open_ms = 100,
            .on_change = [&](const HandlerInfo&, Circuit circuit) { changes.push_back(circuit); }}),
       throwing},
      [](Context&, const Message&) -> Handled { return {}; });
  publish({.payload = "bad", .id = "id-1"});
  run();
  EXPECT_EQ(calls, 2);
  const auto letters = kit().published("in.g.dlq");
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0]->header(kDeadType), "std::runtime_error");
  publish({.payload = "good"});
  ASSERT_OK(kit().wait_until_quiet());
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(changes, (std::vector<Circuit>{Circuit::kOpen, Circuit::kTrying, Circuit::kOpen,
                                           Circuit::kTrying, Circuit::kClosed}));
}

TEST_F(MiddlewareTest, AnOpenCircuitUsesNoAttemptsUp) {
  counts_calls();
  std::atomic<int> calls{0};
  std::uint32_t last_attempt = 0;
  add({poison(), retry({.times = 3}), breaker({.failures = 1, .open_ms = 60'000})},
      [&](Context&, const Message& message) -> Handled {
        last_attempt = std::max(last_attempt, message.attempt());
        if (++calls < 3) return try_again("Down", "still");
        return {};
      });
  publish_numbers(3);
  run();
  EXPECT_EQ(calls, 5);
  EXPECT_LE(last_attempt, 3U);
  EXPECT_EQ(dead(), 0U);
}

TEST_F(MiddlewareTest, M15_1_TenASecondLetTwentyThroughInAboutTwoSeconds) {
  counts_calls();
  std::vector<std::int64_t> calls;
  bool is_blocked = false;  // for good, by who is called an eleventh time within a second
  add(
      {throttle(10, 1'000)},
      [&](Context&, const Message&) -> Handled {
        const std::scoped_lock lock{mutex_};
        calls.push_back(passed_ms());
        const std::size_t last = calls.size() - 1;
        is_blocked = is_blocked || (last >= 10 && calls[last] - calls[last - 10] < 1'000);
        return is_blocked ? give_up("Blocked", "for good") : Handled{};
      },
      3);
  publish_numbers(20);
  run();
  ASSERT_EQ(calls.size(), 20U);
  EXPECT_FALSE(is_blocked);
  EXPECT_EQ(dead(), 0U);
  EXPECT_EQ(calls.back(), 1'900);
}

TEST_F(MiddlewareTest, ACloseInterruptsWhoWaitsForHisTurnD12) {
  std::atomic<int> calls{0};
  add({throttle(1, 3'600'000)}, [&](Context&, const Message&) -> Handled {
    ++calls;
    return {};
  });
  publish_numbers(2);
  ASSERT_OK(kit().start());
  ASSERT_TRUE(eventually([&] { return kit().clock().pauses().count == 1; })) << "an hour from now";
  EXPECT_OK(kit().router().close(0));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(passed_ms(), 0);
  auto again = kit().bus().subscribe({.topics = {"in"}, .group = "g"});
  ASSERT_OK(again);
  auto delivery = (*again)->receive(Deadline::after_ms(10'000));
  ASSERT_TRUE(delivery && *delivery);
  EXPECT_EQ((*delivery)->attempt(), 1U) << "it was not tried";
  EXPECT_OK((*delivery)->ack());
}

TEST_F(MiddlewareTest, AHandlerThatIsTooLateHasFailedWithTimeoutAndItsNextTryHasItsOwnTime) {
  std::vector<bool> begun_cancelled;
  add({poison(), retry({.times = 1}), timeout(500)},
      [&](Context& context, const Message&) -> Handled {
        begun_cancelled.push_back(context.is_cancelled());
        if (!context.wait_ms(2'000)) return try_again("Slow", "gave in");
        return {};
      });
  publish({.payload = "x"});
  run();
  EXPECT_EQ(begun_cancelled, (std::vector<bool>{false, false}));
  const auto letters = kit().published("in.g.dlq");
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0]->header(kDeadType), "Timeout");
  EXPECT_EQ(passed_ms(), 1'100);
}

// --- Dedup, chaos

TEST_F(MiddlewareTest, DedupMarksOnlyAfterSuccessD2) {
  std::atomic<int> calls{0};
  add({retry(), dedup()}, [&](Context&, const Message&) -> Handled {
    if (++calls == 1) return try_again("Down", "once");
    return {};
  });
  publish({.payload = "x", .id = "same"});
  publish({.payload = "x", .id = "same"});
  run();
  EXPECT_EQ(calls, 2) << "failed once, succeeded once, and the second message is a repetition";
}

TEST_F(MiddlewareTest, TwoMessagesOfEqualContentAreTwoD3) {
  std::atomic<int> calls{0};
  add({dedup()}, [&](Context&, const Message&) -> Handled {
    ++calls;
    return {};
  });
  publish({.payload = "x"});
  publish({.payload = "x"});
  run();
  EXPECT_EQ(calls, 2);
}

TEST_F(MiddlewareTest, DedupForgetsAfterItsWindowAndBeyondItsSize) {
  std::atomic<int> calls{0};
  add({dedup({.max_ids = 2, .window_ms = 1'000})}, [&](Context&, const Message&) -> Handled {
    ++calls;
    return {};
  });
  ASSERT_OK(kit().start());
  const auto send = [&](const std::string& id) {
    publish({.payload = "x", .id = id});
    ASSERT_OK(kit().wait_until_quiet());
  };
  send("a");
  send("a");
  EXPECT_EQ(calls, 1);
  kit().clock().advance_ms(1'000);
  send("a");
  EXPECT_EQ(calls, 2);
  send("b");
  send("c");
  send("a");
  EXPECT_EQ(calls, 5);
}

TEST_F(MiddlewareTest, M9_4_UnderChaosTheFinalStateIsTheSame) {
  counts_calls();  // and has chaos of its own
  std::map<std::string, int> effects;
  add({retry(), chaos({.fail = 0.2, .lose = 0.2, .duplicate = 0.5, .delay = 0.2})},
      [&](Context& context, const Message& message) -> Handled {
        const std::scoped_lock lock{mutex_};
        effects[std::string{message.payload()}] = 1;  // idempotent
        context.publish("out", {.payload = std::string{message.payload()}});
        return {};
      });
  ASSERT_OK(kit().router().add(
      {.name = "count", .topics = {"out"}, .group = "count", .middlewares = {dedup()}},
      [&](Context&, const Message& message) -> Handled {
        const std::scoped_lock lock{mutex_};
        ++effects["out " + std::string{message.payload()}];
        return {};
      }));
  publish_numbers(50);
  run();
  EXPECT_EQ(effects.size(), 100U);
  for (const auto& [what, count] : effects) EXPECT_EQ(count, 1) << what;
  EXPECT_EQ(dead(), 0U);
}

TEST_F(MiddlewareTest, DuplicateChaosHandlesEverythingTwice) {
  counts_calls();  // and has chaos of its own
  std::atomic<int> calls{0};
  add({chaos({.duplicate = 1})}, [&](Context& context, const Message&) -> Handled {
    ++calls;
    context.publish("out", {.payload = "x"});
    return {};
  });
  publish_numbers(3);
  run();
  EXPECT_EQ(calls, 6);
  std::set<std::string> ids;
  for (const auto& out : kit().published("out")) ids.insert(Message{out.view()}.id());
  EXPECT_EQ(ids.size(), 3U) << "the second run publishes under the ids of the first";
}

TEST(Chaos, IsReadFromASwitch) {
  const auto chosen = chaos_from("duplicate:1,fail:0.25,seed:7");
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->duplicate, 1);
  EXPECT_EQ(chosen->fail, 0.25);
  EXPECT_EQ(chosen->seed, 7U);
  for (const char* wrong : {"duplicate", "explode:1", "fail:2", "fail:x"})
    EXPECT_FALSE(chaos_from(wrong)) << wrong;
}

}  // namespace
}  // namespace mallbots::test
