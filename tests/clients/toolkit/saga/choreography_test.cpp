// M20.10: the same order process by orchestration and by choreography; M20.1: and by neither.
#include "clients/toolkit/saga/choreography.h"

#include <gtest/gtest.h>

#include "tests/clients/toolkit/saga/service.h"

namespace mallbots::test {
namespace {

using toolkit::Context;
using toolkit::field;
using toolkit::Handled;
using toolkit::SagaOut;

struct Order {
  std::string id;
  std::int64_t cents = 0;
  static constexpr auto fields() {
    return std::tuple{field("id", &Order::id), field("cents", &Order::cents)};
  }
};
struct Placed : Order {
  static constexpr auto kMessage = toolkit::event("Placed", 1);
};
struct Paid : Order {
  static constexpr auto kMessage = toolkit::event("Paid", 1);
};
struct PaymentRefused : Order {
  static constexpr auto kMessage = toolkit::event("PaymentRefused", 1);
};
struct Shipped : Order {
  static constexpr auto kMessage = toolkit::event("Shipped", 1);
};
struct Cancelled : Order {
  static constexpr auto kMessage = toolkit::event("Cancelled", 1);
};
struct TakePayment : Order {
  static constexpr auto kMessage = toolkit::command("TakePayment", 1);
};
struct Ship : Order {
  static constexpr auto kMessage = toolkit::command("Ship", 1);
};
struct Cancel : Order {
  static constexpr auto kMessage = toolkit::command("Cancel", 1);
};

constexpr std::int64_t kCredit = 1'000;

class OrderProcess : public testing::TestWithParam<bool> {
 protected:
  OrderProcess() {
    service_.pump.twice = GetParam();
    EXPECT_TRUE(service_.database->ensure("create table orders (id text, outcome text)"));
  }
  Result<void> note(Context& context, const Order& order, const char* outcome) {
    MALLBOTS_TRY(toolkit::transaction_of(context).run("insert into orders values (?, ?)",
                                                      {order.id, outcome}));
    return {};
  }
  void add(toolkit::Registration registration) {
    service_.pump.add(std::move(registration), *service_.database, *service_.inbox,
                      *service_.outbox);
  }
  std::string outcomes() {
    std::string all;
    const auto rows =
        service_.database->read("select id, outcome from orders order by id, outcome");
    for (const toolkit::Row& row : *rows)
      all += std::string{row.text(0)} + ":" + std::string{row.text(1)} + " ";
    return all;
  }
  void place_three() {
    const toolkit::EventBus events{names_};
    ASSERT_TRUE(events.publish(service_.bus, Placed{{"1", 500}}));
    ASSERT_TRUE(events.publish(service_.bus, Placed{{"2", 5'000}}));
    ASSERT_TRUE(events.publish(service_.bus, Placed{{"3", 900}}));
    service_.pump.run();
  }
  toolkit::TopicNames names_{.service = "orders"};
  Service service_;
  static constexpr const char* kExpected = "1:shipped 2:cancelled 3:shipped ";
};
INSTANTIATE_TEST_SUITE_P(Deliveries, OrderProcess, testing::Values(false, true),
                         [](const auto& of) { return of.param ? "Twice" : "Once"; });

TEST_P(OrderProcess, Choreographed) {
  toolkit::Choreography flow{"order", toolkit::EventBus{names_}};
  toolkit::EventGroup payments{"payments", names_};
  toolkit::EventGroup depot{"depot", names_};
  toolkit::EventGroup desk{"desk", names_};
  flow.reaction<Placed, Paid, PaymentRefused>(
          payments,
          [](Context&, const Placed& order) -> toolkit::Reaction<Paid, PaymentRefused> {
            if (order.cents > kCredit) return PaymentRefused{order};
            return Paid{order};
          })
      .reaction<Paid, Shipped>(depot,
                               [this](Context& context, const Paid& order) {
                                 EXPECT_TRUE(note(context, order, "shipped"));
                                 return toolkit::Reaction<Shipped>{Shipped{order}};
                               })
      .reaction<PaymentRefused, Cancelled>(desk,
                                           [this](Context& context, const PaymentRefused& order) {
                                             EXPECT_TRUE(note(context, order, "cancelled"));
                                             return toolkit::Reaction<Cancelled>{Cancelled{order}};
                                           });
  add(payments.registration());
  add(depot.registration());
  add(desk.registration());
  place_three();
  EXPECT_EQ(outcomes(), kExpected);
  EXPECT_EQ(service_.count("events.Shipped"), 2U);
  EXPECT_EQ(flow.mermaid(),
            "flowchart TD\n"
            "  %% order\n"
            "  Placed_v1 -->|payments| Paid_v1\n"
            "  Placed_v1 -->|payments| PaymentRefused_v1\n"
            "  Paid_v1 -->|depot| Shipped_v1\n"
            "  PaymentRefused_v1 -->|desk| Cancelled_v1\n");
}

TEST_P(OrderProcess, Orchestrated) {
  toolkit::CommandProcessor commands{names_};
  ASSERT_TRUE(commands.handle<TakePayment>([](Context&, const TakePayment& order) -> Handled {
    if (order.cents > kCredit) return toolkit::give_up("NoCredit", order.id);
    return {};
  }));
  ASSERT_TRUE(commands.handle<Ship>([this](Context& context, const Ship& order) -> Handled {
    MALLBOTS_TRY(note(context, order, "shipped"));
    return {};
  }));
  ASSERT_TRUE(commands.handle<Cancel>([this](Context& context, const Cancel& order) -> Handled {
    MALLBOTS_TRY(note(context, order, "cancelled"));
    return {};
  }));
  for (auto& registration : commands.registrations()) add(std::move(registration));
  const auto id = [](const Placed& order) { return order.id; };
  const auto saga =
      toolkit::Saga<Order>{"order"}
          .begins_with<Placed>(id, [](const Placed& order) { return Order{order}; })
          .undo([](const Order& order, SagaOut& out) { out.send(Cancel{order}); })
          .step("take payment",
                [](const Order& order, SagaOut& out) { out.send(TakePayment{order}); })
          .step("ship", [](const Order& order, SagaOut& out) { out.send(Ship{order}); });
  toolkit::SagaRunner runner{saga.plan(), service_.store(), names_};
  ASSERT_TRUE(runner.open());
  service_.pump.add(runner.registration());
  place_three();
  EXPECT_EQ(outcomes(), kExpected);
  EXPECT_EQ(runner.in_state(toolkit::SagaState::kDone)->size(), 2U);
  EXPECT_EQ(runner.in_state(toolkit::SagaState::kUndone)->size(), 1U);
}

TEST_P(OrderProcess, InOneTransactionWhenOneServiceOwnsItAll) {
  // M20.1: a saga that is not needed.
  toolkit::EventGroup shop{"shop", names_};
  shop.on<Placed>([this](Context& context, const Placed& order) -> Handled {
    MALLBOTS_TRY(note(context, order, order.cents > kCredit ? "cancelled" : "shipped"));
    return {};
  });
  add(shop.registration());
  place_three();
  EXPECT_EQ(outcomes(), kExpected);
}

}  // namespace
}  // namespace mallbots::test
