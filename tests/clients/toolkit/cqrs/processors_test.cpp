// Event groups and commands: who is called, how often, and what the sender hears.
#include "clients/toolkit/cqrs/processors.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/clients/toolkit/cqrs/messages.h"
#include "tests/clients/toolkit/pump.h"
#include "tests/clients/toolkit/reading.h"
#include "tests/support/process.h"

namespace mallbots::test {
namespace {

using toolkit::CommandProcessor;
using toolkit::Context;
using toolkit::EventGroup;
using toolkit::Handled;
using toolkit::InProcessBus;
using toolkit::UnknownEvents;

struct Stranger {
  static constexpr auto kMessage = toolkit::event("Stranger", 1);
  static constexpr auto fields() { return std::tuple<>{}; }
};

class ProcessorsTest : public testing::Test {
 protected:
  toolkit::TopicNames names_{.service = "orders"};
  toolkit::TopicNames one_topic_{.service = "orders",
                                 .event_topic = [](const auto&) { return "events"; }};
  toolkit::EventBus events_{names_};
  toolkit::CommandBus commands_{names_};
  InProcessBus bus_{{.keep_all = true}};
  Pump pump_{bus_};
};

TEST_F(ProcessorsTest, EveryGroupGetsEveryEventOnceAndHandlersOfAGroupInOrder) {
  pump_.twice = false;  // calls are counted
  // M8.3
  std::vector<std::string> calls;
  const auto note = [&](const std::string& who) {
    return [&calls, who](Context&, const OrderPlaced& event) -> Handled {
      calls.push_back(who + " " + event.order_id);
      return {};
    };
  };
  pump_.add(EventGroup{"mails", names_}
                .on<OrderPlaced>(note("confirm"))
                .on<OrderPlaced>(note("advertise"))
                .registration());
  pump_.add(EventGroup{"stats", names_}.on<OrderPlaced>(note("count")).registration());
  ASSERT_TRUE(events_.publish(bus_, OrderPlaced{.order_id = "1"}));
  ASSERT_TRUE(events_.publish(bus_, OrderPlaced{.order_id = "2"}));
  pump_.run();
  EXPECT_EQ(calls, (std::vector<std::string>{"confirm 1", "advertise 1", "confirm 2", "advertise 2",
                                             "count 1", "count 2"}));
}

TEST_F(ProcessorsTest, OldVersionsAreHandledAsTheNewestAndBothTravelOnOneTopic) {
  // M13.1, M11.5
  std::set<std::string> totals;
  pump_.add(EventGroup{"g", names_}
                .on<OrderPlaced>([&](Context&, const OrderPlaced& event) -> Handled {
                  totals.insert(event.total);
                  return {};
                })
                .registration());
  ASSERT_TRUE(events_.publish(bus_, OrderPlacedV0{.id = "1", .euros = 3}));
  ASSERT_TRUE(events_.publish(bus_, OrderPlaced{.order_id = "2", .total = "4.50"}));
  pump_.run();
  EXPECT_EQ(totals, (std::set<std::string>{"3.00", "4.50"}));
}

TEST_F(ProcessorsTest, TheUnknownEventPolicyIsExplicit) {
  const toolkit::EventBus events{one_topic_};
  const auto group = [&](UnknownEvents unknown) {
    return EventGroup{"g" + std::to_string(static_cast<int>(unknown)), one_topic_, unknown}
        .on<OrderPlaced>([](Context&, const OrderPlaced&) -> Handled { return {}; })
        .registration();
  };
  ASSERT_TRUE(events.publish(bus_, Stranger{}));
  pump_.add(group(UnknownEvents::kPass));
  pump_.run();
  EXPECT_EQ(pump_.failures, 0U);
  pump_.add(group(UnknownEvents::kBury));
  pump_.run();
  EXPECT_EQ(read_all(bus_, "events.g2.dlq").size(), 1U);
  Pump retrying{bus_};
  retrying.add(group(UnknownEvents::kRetry));
  EXPECT_TRUE(eventually([&] {
    retrying.run();
    return retrying.failures >= 2;
  }));
}

TEST_F(ProcessorsTest, WhatDoesNotDecodeBecomesADeadLetterAndTheQueueGoesOn) {
  // M6.2, D9
  std::set<std::string> handled;
  pump_.add(EventGroup{"g", names_}
                .on<OrderPlaced>([&](Context&, const OrderPlaced& event) -> Handled {
                  handled.insert(event.order_id);
                  return {};
                })
                .registration());
  toolkit::Draft broken{.payload = "{", .name = "OrderPlaced_v2"};
  ASSERT_TRUE(toolkit::publish(bus_, "events.OrderPlaced", {&broken, 1}));
  ASSERT_TRUE(events_.publish(bus_, OrderPlaced{.order_id = "2"}));
  pump_.run();
  EXPECT_EQ(handled, std::set<std::string>{"2"});
  EXPECT_EQ(read_all(bus_, "events.OrderPlaced.g.dlq").size(), 1U);
}

TEST_F(ProcessorsTest, ACommandRunsItsOneHandler) {
  // M11.1
  CommandProcessor processor{names_};
  std::set<std::string> shipped;
  ASSERT_TRUE(processor.handle<ShipOrder>([&](Context& context, const ShipOrder& command) {
    shipped.insert(command.order_id);
    events_.publish(context, StockCounted{.sku = "a"});
    return Handled{};
  }));
  pump_.add(processor.registrations());
  ASSERT_TRUE(commands_.send(bus_, ShipOrder{.order_id = "7"}, {.correlation_id = "request"}));
  pump_.run();
  EXPECT_EQ(shipped, std::set<std::string>{"7"});
  const auto internal = once(read_all(bus_, "internal-events.orders.StockCounted"));
  ASSERT_EQ(internal.size(), 1U);
  EXPECT_EQ(toolkit::Message{internal[0].view()}.correlation_id(), "request");
}

TEST_F(ProcessorsTest, ASecondHandlerOfACommandIsRefusedAcrossCalls) {
  // M11.3, D11
  CommandProcessor processor{names_};
  const auto handler = [](Context&, const ShipOrder&) { return Handled{}; };
  EXPECT_TRUE(processor.handle<ShipOrder>(handler));
  const auto second = processor.handle<ShipOrder>(handler);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kBadArgument);
  EXPECT_EQ(processor.registrations().size(), 1U);
}

TEST_F(ProcessorsTest, ARefusedCommandIsUndoneAndAnsweredInOneTransaction) {
  const auto database = toolkit::Database::open().value();
  const auto inbox = toolkit::Inbox::open(*database).value();
  const auto outbox = toolkit::Outbox::open(*database).value();
  toolkit::Relay relay{*database, *outbox, bus_};
  ASSERT_TRUE(database->ensure("create table parcels (id)"));
  CommandProcessor processor{names_};
  ASSERT_TRUE(
      processor.handle<ShipOrder>([](Context& context, const ShipOrder& command) -> Handled {
        MALLBOTS_TRY(toolkit::transaction_of(context).run("insert into parcels values (1)"));
        context.publish("events.Shipped", {});
        if (command.order_id == "bad") return toolkit::give_up("NoStock", "none left");
        if (command.order_id == "rule")
          return std::unexpected(toolkit::HandlerFailure{Error{ErrorCode::kRefused, "a rule"}});
        return {};
      }));
  pump_.add(processor.registrations(), *database, *inbox, *outbox);
  pump_.add([&] { return relay.run_once().value(); });
  pump_.twice = true;
  for (const char* id : {"good", "bad", "rule"})
    ASSERT_TRUE(commands_.send(bus_, ShipOrder{.order_id = id}, {},
                               {.id = id, .headers = {{"reply.to", "replies"}}}));
  pump_.run();
  EXPECT_EQ(database->read("select count(*) from parcels")->front().integer(0), 1);
  EXPECT_EQ(read_all(bus_, "events.Shipped").size(), 1U);
  const auto replies = read_all(bus_, "replies");
  ASSERT_EQ(replies.size(), 3U);
  EXPECT_EQ(replies[0].view().header("reply.outcome"), "success");
  EXPECT_EQ(replies[1].view().header("reply.outcome"), "failure");
  EXPECT_EQ(replies[1].view().header("reply.reason"), "NoStock");
  EXPECT_EQ(replies[1].view().header("reply.id"), "bad");
  EXPECT_EQ(replies[2].view().header("reply.reason"), "Refused");
  // Nobody asked: a dead letter.
  ASSERT_TRUE(commands_.send(bus_, ShipOrder{.order_id = "bad"}));
  pump_.run();
  EXPECT_EQ(read_all(bus_, "commands.ShipOrder.orders.ShipOrder.dlq").size(), 1U);
}

TEST_F(ProcessorsTest, ARedeliveredCommandDoesNotRepeatTheAction) {
  // M11.4: the mark comes before the look at what is left, so that it cannot fail falsely.
  const auto database = toolkit::Database::open().value();
  const auto inbox = toolkit::Inbox::open(*database).value();
  const auto outbox = toolkit::Outbox::open(*database).value();
  ASSERT_TRUE(database->ensure("create table seats (left); insert into seats values (1)"));
  CommandProcessor processor{names_};
  ASSERT_TRUE(processor.handle<ShipOrder>([](Context& context, const ShipOrder&) -> Handled {
    const auto taken =
        toolkit::transaction_of(context).run("update seats set left = left - 1 where left > 0");
    if (!taken) return std::unexpected(toolkit::HandlerFailure{taken.error()});
    if (*taken == 0) return toolkit::give_up("SoldOut", "no seat");
    return {};
  }));
  pump_.add(processor.registrations(), *database, *inbox, *outbox);
  pump_.twice = true;
  ASSERT_TRUE(commands_.send(bus_, ShipOrder{.order_id = "1"}, {}, {.id = "c"}));
  ASSERT_TRUE(commands_.send(bus_, ShipOrder{.order_id = "1"}, {}, {.id = "c"}));
  pump_.run();
  EXPECT_EQ(pump_.failures, 0U);
  EXPECT_EQ(database->read("select left from seats")->front().integer(0), 0);
}

}  // namespace
}  // namespace mallbots::test
