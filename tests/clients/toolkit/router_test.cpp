// What the router promises, over the in-process bus with a clock in the test's hand.
#include "clients/toolkit/router.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <latch>
#include <map>
#include <set>
#include <thread>

#include "clients/toolkit/dead_letter.h"
#include "tests/clients/toolkit/middleware_fixture.h"
#include "tests/clients/toolkit/twice.h"

namespace mallbots::test {
namespace {

using toolkit::Context;
using toolkit::Handled;
using toolkit::Message;

/// A gate that stays open once it was opened.
class Gate {
 public:
  void open() { promise_.set_value(); }
  void wait() const { future_.wait(); }

 private:
  std::promise<void> promise_;
  std::shared_future<void> future_{promise_.get_future()};
};

class RouterTest : public KitTest {
 protected:
  toolkit::Router& router() { return kit().router(); }
  void publish(const std::string& topic, const std::string& text, const std::string& key = {}) {
    ASSERT_OK(kit().publish(topic, {.payload = text, .key = key, .id = text}));
  }
  void quiet() { ASSERT_OK(kit().wait_until_quiet()); }
};

Handled nothing(Context& /*context*/, const Message& /*message*/) { return {}; }

TEST_F(RouterTest, M4_1_WhatAHandlerPublishesGoesOut) {
  ASSERT_OK(router().add({.name = "convert", .topics = {"celsius"}, .group = "converter"},
                         [](Context& context, const Message& message) -> Handled {
                           const int celsius = std::stoi(std::string{message.payload()});
                           context.publish("fahrenheit",
                                           {.payload = std::to_string(celsius * 9 / 5 + 32)});
                           return {};
                         }));
  ASSERT_OK(kit().start());
  publish("celsius", "100");
  quiet();
  const auto out = once(kit().published("fahrenheit"));
  ASSERT_EQ(texts(out), Strings{"212"});
  EXPECT_EQ(Message{out[0].view()}.causation_id(), "100");
  EXPECT_EQ(Message{out[0].view()}.correlation_id(), "gen_100");
}

TEST_F(RouterTest, M4_2_AFailedMessageComesAgainUntilItSucceedsAndItsOutputsGoOutOnce) {
  counts_calls();
  std::atomic<int> tries{0};
  ASSERT_OK(router().add({.name = "h", .topics = {"in"}, .group = "g"},
                         [&](Context& context, const Message& message) -> Handled {
                           context.publish("out", {.payload = std::string{message.payload()}});
                           EXPECT_EQ(static_cast<int>(message.attempt()), tries + 1);
                           if (++tries < 3) return toolkit::try_again("NotYet", "later");
                           return {};
                         }));
  ASSERT_OK(kit().start());
  publish("in", "a");
  quiet();
  EXPECT_EQ(tries, 3);
  EXPECT_EQ(kit().published_texts("out"), Strings{"a"});
}

TEST_F(RouterTest, M6_5_AnExceptionIsAFailureAndTheHandlerGoesOn) {
  std::atomic<int> tries{0};
  ASSERT_OK(router().add({.name = "h", .topics = {"in"}, .group = "g", .max_deliveries = 2},
                         [&](Context& /*context*/, const Message& message) -> Handled {
                           if (message.payload() == "bad") {
                             ++tries;
                             throw std::out_of_range{"no such seat"};
                           }
                           return {};
                         }));
  ASSERT_OK(kit().start());
  publish("in", "bad");
  publish("in", "good");
  quiet();
  EXPECT_EQ(tries, 2);
  const auto letters = kit().published("in.g.dlq");
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0]->header(toolkit::kDeadType), "std::out_of_range");
  EXPECT_EQ(letters[0]->header(toolkit::kDeadText), "no such seat");
  EXPECT_EQ(letters[0]->header(toolkit::kDeadHandler), "h");
}

TEST_F(RouterTest, M6_2_WhatIsGivenUpIsADeadLetterAtOnceAndTheQueueGoesOn) {
  std::set<std::string> handled;
  ASSERT_OK(router().add({.name = "h", .topics = {"in"}, .group = "g"},
                         [&](Context& /*context*/, const Message& message) -> Handled {
                           handled.emplace(message.payload());
                           if (message.payload() == "{") return toolkit::give_up("Malformed", "{");
                           return {};
                         }));
  ASSERT_OK(kit().start());
  publish("in", "{", "k");
  publish("in", "{}", "k");
  quiet();
  EXPECT_EQ(handled, (std::set<std::string>{"{", "{}"}));
  EXPECT_EQ(kit().published("in.g.dlq").size(), 1U);
}

TEST_F(RouterTest, M9_5_ARedeliveryPublishesUnderTheSameIds) {
  std::mutex mutex;
  std::set<std::string> ids;
  std::atomic<int> tries{0};
  ASSERT_OK(router().add({.name = "h", .topics = {"in"}, .group = "g"},
                         [&](Context& context, const Message& /*message*/) -> Handled {
                           EXPECT_OK(context.publish_now("out", {.payload = "1"}));
                           EXPECT_OK(context.publish_now("out", {.payload = "2"}));
                           if (++tries < 3) return toolkit::try_again("NotYet", "later");
                           return {};
                         }));
  ASSERT_OK(kit().start());
  publish("in", "a");
  quiet();
  const auto outputs = kit().published("out");
  if (is_everything_twice())
    EXPECT_GE(outputs.size(), 6U);
  else
    EXPECT_EQ(outputs.size(), 6U);
  for (const auto& one : outputs) ids.insert(Message{one.view()}.id());
  EXPECT_EQ(ids.size(), 2U);
}

TEST_F(RouterTest, OrderPerKeyIsKeptByMoreWorkersThanPartitions) {
  std::mutex mutex;
  std::map<std::string, Strings> seen;
  std::map<std::string, int> failures;
  ASSERT_OK(router().add({.name = "h", .topics = {"in"}, .group = "g", .workers = 8},
                         [&](Context& /*context*/, const Message& message) -> Handled {
                           const std::scoped_lock lock{mutex};
                           const std::string text{message.payload()};
                           if (text.ends_with('3') && failures[text]++ < 2)
                             return toolkit::try_again("NotYet", "later");
                           Strings& mine = seen[std::string{message.key()}];
                           if (mine.empty() || mine.back() != text) mine.push_back(text);
                           return {};
                         }));
  for (int i = 0; i < 400; ++i) publish("in", std::to_string(i), "key" + std::to_string(i % 16));
  ASSERT_OK(kit().start());
  quiet();
  ASSERT_EQ(seen.size(), 16U);
  for (const auto& [key, texts] : seen) {
    EXPECT_EQ(texts.size(), 25U) << key;
    EXPECT_TRUE(std::ranges::is_sorted(texts, {}, [](const auto& t) { return std::stoi(t); }))
        << key;
  }
}

TEST_F(RouterTest, AFailingKeyDelaysNobodyElse) {
  std::set<std::string> others;
  ASSERT_OK(router().add({.name = "h", .topics = {"in"}, .group = "g", .max_deliveries = 0},
                         [&](Context& /*context*/, const Message& message) -> Handled {
                           if (message.key() == "stuck" && others.size() < 50)
                             return toolkit::try_again("Stuck", "still");
                           if (message.key() != "stuck") others.emplace(message.key());
                           return {};
                         }));
  publish("in", "s", "stuck");
  for (int i = 0; i < 50; ++i) publish("in", std::to_string(i), "k" + std::to_string(i));
  ASSERT_OK(kit().start());
  quiet();
  EXPECT_EQ(others.size(), 50U);
}

TEST_F(RouterTest, SeveralWorkersHandleDifferentKeysAtOnce) {
  counts_calls();
  std::latch all_at_work{4};
  ASSERT_OK(router().add({.name = "h", .topics = {"in"}, .group = "g", .workers = 4},
                         [&](Context& /*context*/, const Message& /*message*/) -> Handled {
                           all_at_work.arrive_and_wait();
                           return {};
                         }));
  for (int i = 0; i < 4; ++i) publish("in", std::to_string(i), "k" + std::to_string(i));
  ASSERT_OK(kit().start());
  quiet();
}

TEST_F(RouterTest, NoMoreThanMaxInFlightAreHandedOut) {
  counts_calls();
  Gate gate;
  std::latch begun{1};
  ASSERT_OK(router().add({.name = "h", .topics = {"in"}, .group = "g", .max_in_flight = 5},
                         [&](Context& /*context*/, const Message& message) -> Handled {
                           if (message.payload() == "0") begun.count_down();
                           gate.wait();
                           return {};
                         }));
  for (int i = 0; i < 40; ++i) publish("in", std::to_string(i));
  ASSERT_OK(kit().start());
  begun.wait();
  EXPECT_EQ(kit().bus().backlog().groups.at(0).in_flight, 5U);
  gate.open();
  quiet();
}

TEST_F(RouterTest, M4_3_CloseLetsTheHandlerFinishAndWhatIsLeftComesLater) {
  counts_calls();
  Gate gate;
  std::latch begun{1};
  std::atomic<int> handled{0};
  std::atomic<bool> was_cancelled{false};
  const auto slow = [&](Context& context, const Message& /*message*/) -> Handled {
    if (handled == 0) begun.count_down();
    gate.wait();
    was_cancelled = was_cancelled || context.is_cancelled();
    ++handled;
    return {};
  };
  ASSERT_OK(router().add({.name = "h", .topics = {"in"}, .group = "g"}, slow));
  publish("in", "first");
  publish("in", "second");
  ASSERT_OK(kit().start());
  begun.wait();
  auto closed = std::async(std::launch::async, [&] { return router().close(); });
  const auto is_closing = [&] {
    return router().health().handlers.at(0).state == toolkit::HandlerState::kClosing;
  };
  while (!is_closing()) std::this_thread::yield();
  // sleep: in which a close that cancels before it waits would have cancelled
  std::this_thread::sleep_for(std::chrono::milliseconds{20});
  gate.open();
  ASSERT_OK(closed.get());
  EXPECT_EQ(handled, 1);
  EXPECT_FALSE(was_cancelled) << "cancelled within the grace period (D5)";
  toolkit::Router next{kit().bus(), {.clock = &kit().clock()}};
  Strings rest;
  ASSERT_OK(next.add({.name = "h", .topics = {"in"}, .group = "g"},
                     [&](Context& /*context*/, const Message& message) -> Handled {
                       rest.emplace_back(message.payload());
                       return {};
                     }));
  ASSERT_OK(next.start());
  quiet();
  EXPECT_EQ(rest, Strings{"second"});
}

TEST_F(RouterTest, AfterTheGracePeriodTheContextIsCancelledAndTheMessageComesAgain) {
  std::latch begun{1};
  ASSERT_OK(router().add({.name = "h", .topics = {"in"}, .group = "g"},
                         [&](Context& context, const Message& /*message*/) -> Handled {
                           begun.count_down();
                           if (!context.wait_ms(3'600'000))
                             return toolkit::not_now("Cancelled", "closing", 0);
                           return {};
                         }));
  publish("in", "a");
  ASSERT_OK(kit().start());
  begun.wait();
  ASSERT_OK(router().close(1));
  auto again = kit().bus().subscribe({.topics = {"in"}, .group = "g"});
  ASSERT_OK(again);
  auto delivery = (*again)->receive(Deadline::after_ms(10'000));
  ASSERT_TRUE(delivery && *delivery);
  EXPECT_EQ((*delivery)->attempt(), 1U);
  EXPECT_OK((*delivery)->ack());
}

TEST_F(RouterTest, AHandlerThatNeverEndsIsNamed) {
  Gate gate;
  std::latch begun{1};
  toolkit::Router router{kit().bus(), {.cancel_ms = 1}};
  ASSERT_OK(router.add({.name = "deaf", .topics = {"in"}, .group = "g"},
                       [&](Context& /*context*/, const Message& /*message*/) -> Handled {
                         begun.count_down();
                         gate.wait();
                         return {};
                       }));
  publish("in", "a");
  ASSERT_OK(router.start());
  begun.wait();
  const auto closed = router.close(1);
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().code, ErrorCode::kTimeout);
  EXPECT_NE(closed.error().detail.find("deaf"), std::string::npos);
  gate.open();
}

TEST_F(RouterTest, M4_4_ReadyOnlyWhileItRuns) {
  ASSERT_OK(router().add({.name = "h", .topics = {"in"}, .group = "g"}, nothing));
  EXPECT_FALSE(router().health().is_ready);
  ASSERT_OK(kit().start());
  EXPECT_TRUE(router().health().is_ready);
  EXPECT_TRUE(router().health().is_healthy);
  ASSERT_OK(router().close());
  EXPECT_FALSE(router().health().is_ready);
  EXPECT_FALSE(kit().start()) << "a second life";
}

TEST_F(RouterTest, M4_5_RefusesASecondHandlerOfANameOrGroup) {
  ASSERT_OK(router().add({.name = "h", .topics = {"in"}, .group = "g"}, nothing));
  const auto name = router().add({.name = "h", .topics = {"in"}, .group = "other"}, nothing);
  ASSERT_FALSE(name);
  EXPECT_EQ(name.error().code, ErrorCode::kBadArgument);
  const auto group = router().add({.name = "other", .topics = {"in"}, .group = "g"}, nothing);
  ASSERT_FALSE(group);
  EXPECT_NE(group.error().detail.find("share group 'g'"), std::string::npos);
  EXPECT_FALSE(router().add({.name = "x", .topics = {"in"}}, nothing)) << "no group";
  EXPECT_FALSE(router().add({.name = "x", .group = "x"}, nothing)) << "no topic";
}

TEST_F(RouterTest, M4_5_AHandlerIsAddedAndStoppedWhileOthersGoOnD4) {
  counts_calls();
  std::atomic<int> stays{0};
  std::atomic<int> goes{0};
  const auto forward = [](std::atomic<int>& count) {
    return [&count](Context& context, const Message& /*message*/) -> Handled {
      ++count;
      context.publish("out", {.payload = "x"});
      return {};
    };
  };
  ASSERT_OK(router().add({.name = "stays", .topics = {"in"}, .group = "stays"}, forward(stays)));
  ASSERT_OK(kit().start());
  ASSERT_OK(router().add({.name = "goes", .topics = {"in"}, .group = "goes"}, forward(goes)));
  publish("in", "1");
  quiet();
  EXPECT_EQ(stays, 1);
  EXPECT_EQ(goes, 1);
  ASSERT_OK(router().stop("goes"));
  publish("in", "2");
  quiet();
  EXPECT_EQ(stays, 2);
  EXPECT_EQ(goes, 1);
  EXPECT_EQ(kit().published("out").size(), 3U) << "the publisher they share still works (D4)";
  EXPECT_FALSE(router().stop("goes"));
  ASSERT_OK(router().add({.name = "renamed", .topics = {"in"}, .group = "goes"}, forward(goes)));
  quiet();
  EXPECT_EQ(goes, 2) << "the group goes on where it was, under another handler's name (M8.5)";
}

TEST_F(RouterTest, ABatchHandlerGetsManyAndSaysTheOutcomeOfEach) {
  std::vector<std::size_t> sizes;
  std::map<std::string, int> tries;
  Strings done;
  ASSERT_OK(router().add_batch({.name = "h", .topics = {"in"}, .group = "g"}, {.max_messages = 8},
                               [&](std::span<toolkit::BatchItem> items) {
                                 sizes.push_back(items.size());
                                 for (toolkit::BatchItem& item : items) {
                                   const std::string text{item.message.payload()};
                                   if (text == "3" && tries[text]++ < 1)
                                     item.outcome = toolkit::try_again("NotYet", "later");
                                   else
                                     done.push_back(text);
                                   item.context.publish("out", {.payload = text});
                                 }
                               }));
  for (int i = 0; i < 16; ++i) publish("in", std::to_string(i), i < 8 ? "one key" : "");
  ASSERT_OK(kit().start());
  quiet();
  EXPECT_EQ(sizes.front(), 8U);
  EXPECT_EQ(kit().published("out").size(), 16U);
  // 4 to 7 were in the batch in which 3 failed: they came again, after it.
  Strings keyed;
  for (const std::string& text : done)
    if (std::stoi(text) < 8) keyed.push_back(text);
  EXPECT_EQ(keyed, (Strings{"0", "1", "2", "4", "5", "6", "7", "3", "4", "5", "6", "7"}));
}

TEST_F(RouterTest, WhatAFailedBatchLeavesUntriedComesInOrderAndIsNotCounted) {
  Strings done;
  std::map<std::string, std::uint32_t> attempts;
  ASSERT_OK(router().add_batch({.name = "h", .topics = {"in"}, .group = "g"}, {.max_messages = 2},
                               [&](std::span<toolkit::BatchItem> items) {
                                 for (toolkit::BatchItem& item : items) {
                                   const std::string text{item.message.payload()};
                                   attempts[text] = item.message.attempt();
                                   if (text == "1" && item.message.attempt() < 3)
                                     item.outcome = toolkit::try_again("NotYet", "later");
                                   else
                                     done.push_back(text);
                                 }
                               }));
  for (int i = 0; i < 8; ++i) publish("in", std::to_string(i), "one key");
  ASSERT_OK(kit().start());
  quiet();
  // The last time that each was handled, they were in order.
  Strings order;
  for (const std::string& text : done) {
    std::erase(order, text);
    order.push_back(text);
  }
  EXPECT_EQ(order, (Strings{"0", "1", "2", "3", "4", "5", "6", "7"}));
  EXPECT_EQ(attempts["1"], 3U);
  for (int i = 2; i < 8; ++i) EXPECT_EQ(attempts[std::to_string(i)], 1U) << i;
  EXPECT_EQ(kit().published("in.g.dlq").size(), 0U);
}

TEST_F(RouterTest, ABatchThatThrowsComesAgainWhole) {
  std::atomic<int> calls{0};
  std::atomic<int> done{0};
  ASSERT_OK(router().add_batch({.name = "h", .topics = {"in"}, .group = "g"}, {.max_messages = 4},
                               [&](std::span<toolkit::BatchItem> items) {
                                 if (++calls == 1) throw std::runtime_error{"no database"};
                                 done += static_cast<int>(items.size());
                               }));
  for (int i = 0; i < 4; ++i) publish("in", std::to_string(i));
  ASSERT_OK(kit().start());
  quiet();
  EXPECT_EQ(done, 4);
}

TEST_F(RouterTest, ABatchWaitsForMoreButNotLongerThanItsTime) {
  std::atomic<int> done{0};
  ASSERT_OK(router().add_batch(
      {.name = "h", .topics = {"in"}, .group = "g"}, {.max_messages = 100, .max_wait_ms = 20},
      [&](std::span<toolkit::BatchItem> items) { done += static_cast<int>(items.size()); }));
  ASSERT_OK(kit().start());
  publish("in", "1");
  publish("in", "2");
  quiet();
  EXPECT_EQ(done, 2);
}

TEST_F(RouterTest, DescribesWhoPublishesWhoHandlesAndWhatNobodyHandles) {
  router().declare_publisher("gateway", {"orders", "complaints"});
  ASSERT_OK(router().add({.name = "bill",
                          .topics = {"orders"},
                          .group = "billing",
                          .workers = 2,
                          .publishes = {"bills"}},
                         [](Context& context, const Message& /*message*/) -> Handled {
                           context.publish("audits", {.payload = "x"});
                           return {};
                         }));
  ASSERT_OK(kit().start());
  publish("orders", "1");
  quiet();
  const auto description = router().describe();
  EXPECT_EQ(description.unhandled, (Strings{"audits", "bills", "complaints"}));
  EXPECT_EQ(description.as_text(),
            "gateway -> orders, complaints\n"
            "orders -> bill (group billing, 2 workers) -> audits, bills\n"
            "nobody here handles: audits, bills, complaints\n");
}

TEST_F(RouterTest, MiddlewaresWrapFromTheOutsideInAndTheirFailureIsTheHandlers) {
  counts_calls();
  Strings order;
  const auto mark = [&](const std::string& name) {
    return toolkit::Middleware{
        name, toolkit::Layer::kAnywhere, [&order, name](toolkit::Handler next, const auto& of) {
          EXPECT_EQ(of.name, "h");
          return [&order, name, next](Context& context, const Message& message) -> Handled {
            order.push_back(name);
            return next(context, message);
          };
        }};
  };
  ASSERT_OK(router().add(
      {.name = "h", .topics = {"in"}, .group = "g", .middlewares = {mark("outer"), mark("inner")}},
      [&](Context& /*context*/, const Message& /*message*/) -> Handled {
        order.emplace_back("handler");
        return {};
      }));
  ASSERT_OK(kit().start());
  publish("in", "1");
  quiet();
  EXPECT_EQ(order, (Strings{"outer", "inner", "handler"}));
}

TEST_F(RouterTest, AnOutputThatCannotBePublishedIsAFailureOfItsMessage) {
  ASSERT_OK(router().add({.name = "h", .topics = {"in"}, .group = "g", .max_deliveries = 2},
                         [](Context& context, const Message& /*message*/) -> Handled {
                           context.publish("no/topic", {.payload = "x"});
                           return {};
                         }));
  ASSERT_OK(kit().start());
  publish("in", "1");
  quiet();
  const auto letters = kit().published("in.g.dlq");
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0]->header(toolkit::kDeadType), "BadTopicName");
}

}  // namespace
}  // namespace mallbots::test
