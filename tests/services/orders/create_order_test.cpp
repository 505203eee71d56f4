// The create-order saga with the real customers, depot and payments around it, each over its own
// database; of the orders context there are its two commands, carried out by the rules of Order.
// Run once with every message once, once with every message twice.
#include "services/orders/app/create_order.h"

#include <gtest/gtest.h>

#include "clients/toolkit/saga/saga_runner.h"
#include "services/customers/app/customers.h"
#include "services/depot/app/depot.h"
#include "services/orders/contract.h"
#include "services/orders/domain/order.h"
#include "services/payments/adapters/simulated_provider.h"
#include "services/payments/app/payments.h"
#include "services/runtime/money_proto.h"
#include "tests/clients/toolkit/pump.h"
#include "tests/clients/toolkit/reading.h"

namespace mallbots::orders {
namespace {

using toolkit::CommandProcessor;
using toolkit::Context;
using toolkit::Handled;
using toolkit::SagaState;

/// The stores of one context.
struct Store {
  std::unique_ptr<toolkit::Database> database = toolkit::Database::open().value();
  std::unique_ptr<toolkit::Inbox> inbox = toolkit::Inbox::open(*database).value();
  std::unique_ptr<toolkit::Outbox> outbox = toolkit::Outbox::open(*database).value();
  [[nodiscard]] Units units() { return {*database, *outbox}; }
};

class CreateOrderTest : public testing::TestWithParam<bool> {
 protected:
  CreateOrderTest() {
    pump_.twice = GetParam();
    EXPECT_TRUE(runner_.open());
    pump_.add(runner_.registration());
    serve_customers();
    serve_depot();
    serve_payments();
    serve_orders();
  }
  void serve(Store& store, const CommandProcessor& processor) {
    pump_.add(processor.registrations(), *store.database, *store.inbox, *store.outbox);
    relay(store);
  }
  void relay(Store& store) {
    relays_.push_back(std::make_unique<toolkit::Relay>(*store.database, *store.outbox, bus_));
    pump_.add([relay = relays_.back().get()] { return relay->run_once().value(); });
  }
  void serve_customers() {
    CommandProcessor processor(customers::topic_names());
    EXPECT_TRUE(processor.handle<customersapi::AuthorizeCustomer>(
        [this](Context& context, const auto& command) {
          return customers_->authorize(context, command);
        }));
    serve(customers_store_, processor);
  }
  void serve_depot() {
    CommandProcessor processor(depot::topic_names());
    EXPECT_TRUE(processor.handle<depotapi::CreateShoppingList>(
        [this](Context& context, const auto& command)
            -> std::expected<depotapi::CreatedShoppingList, toolkit::HandlerFailure> {
          if (depot_is_away_) return toolkit::try_again("Away", "the depot is closed");
          ++lists_asked_for_;
          return depot_->create(context, command);
        }));
    EXPECT_TRUE(
        processor.handle<depotapi::InitiateShopping>([this](Context& context, const auto& command) {
          return depot_->initiate(context, command);
        }));
    EXPECT_TRUE(processor.handle<depotapi::CancelShoppingList>(
        [this](Context& context, const auto& command) {
          return depot_->cancel(context, command);
        }));
    serve(depot_store_, processor);
  }
  void serve_payments() {
    CommandProcessor processor(payments::topic_names());
    EXPECT_TRUE(processor.handle<paymentsapi::ConfirmPayment>(
        [this](Context& context, const auto& command) {
          return payments_->confirm(context, command);
        }));
    EXPECT_TRUE(processor.handle<paymentsapi::ReleasePayment>(
        [this](Context& context, const auto& command) {
          return payments_->release(context, command);
        }));
    serve(payments_store_, processor);
  }
  void serve_orders() {
    CommandProcessor processor(topic_names());
    EXPECT_TRUE(processor.handle<ordersapi::ApproveOrder>(
        [this](Context&, const ordersapi::ApproveOrder& command) {
          return decide(approve(order_, command.shopping_id()));
        }));
    EXPECT_TRUE(processor.handle<ordersapi::RejectOrder>(
        [this](Context&, const ordersapi::RejectOrder& command) {
          return decide(reject(order_, command.reason()));
        }));
    serve(orders_store_, processor);
  }
  Handled decide(const OrderDecision& decision) {
    if (!decision) return toolkit::give_up("Refused", decision.error().reason);
    for (const OrderEvent& event : *decision) order_.apply(event);
    return {};
  }

  std::string ada() { return customers_->find_or_register("Ada", "+442079460000").value(); }
  void hold(const std::string& customer, std::int64_t pence = 699) {
    ASSERT_TRUE(payments_->authorize({"p1", customer, "tok_1", {pence}}));
  }
  /// The order's first event, as the orders context publishes it.
  void order(const std::string& customer) {
    const OrderCreated created{
        customer, "p1", {{"s1", "mug", "Tea House", "10,4", "Mug", {233}, 3}}, {699}};
    ASSERT_TRUE(decide(create(order_, created)).has_value());
    ordersapi::OrderCreated event;
    event.set_id("o1");
    event.set_customer_id(customer);
    event.set_payment_id("p1");
    *event.mutable_total() = to_proto(Money{699});
    ordersapi::Line* line = event.add_lines();
    line->set_product_id("mug");
    line->set_product_name("Mug");
    line->set_store_id("s1");
    line->set_store_name("Tea House");
    line->set_store_location("10,4");
    line->set_quantity(3);
    ASSERT_TRUE(toolkit::EventBus(topic_names()).publish(bus_, event));
  }
  SagaState saga_state() { return runner_.find("o1").value().value().state; }
  depot::ShoppingList list() {
    const auto rows = depot_store_.database->read("select id from shopping_lists").value();
    EXPECT_EQ(rows.size(), 1U);
    return depot_->list(rows.front().text(0)).value();
  }
  payments::Payment::State payment_state() { return payments_->payment("p1")->state; }

  toolkit::InProcessBus bus_{{.keep_all = true}};
  test::Pump pump_{bus_};
  std::vector<std::unique_ptr<toolkit::Relay>> relays_;
  Store customers_store_;
  Store depot_store_;
  Store payments_store_;
  Store orders_store_;
  payments::SimulatedProvider provider_;
  std::unique_ptr<customers::Customers> customers_ =
      customers::Customers::open(customers_store_.units()).value();
  std::unique_ptr<depot::Depot> depot_ =
      depot::Depot::open(depot_store_.units(), toolkit::system_clock()).value();
  std::unique_ptr<payments::Payments> payments_ =
      payments::Payments::open(payments_store_.units(), provider_).value();
  toolkit::SagaRunner runner_{
      create_order_saga().plan(),
      {*orders_store_.database, *orders_store_.inbox, *orders_store_.outbox},
      topic_names()};
  Order order_;
  bool depot_is_away_ = false;
  int lists_asked_for_ = 0;  ///< and heard by the depot
};

TEST_P(CreateOrderTest, WhenAllAgreeTheOrderIsApprovedAndShoppingBegins) {
  const std::string customer = ada();
  hold(customer);
  order(customer);
  pump_.run();
  EXPECT_EQ(saga_state(), SagaState::kDone);
  EXPECT_EQ(order_.status, OrderStatus::kApproved);
  EXPECT_EQ(order_.shopping_id, list().id);
  EXPECT_EQ(list().status, depot::ListStatus::kAvailable);
  EXPECT_EQ(list().stops[0].store_location, "10,4");
  EXPECT_EQ(payment_state(), payments::Payment::State::kBound);
}

TEST_P(CreateOrderTest, ADisabledCustomersOrderIsRejectedBeforeAnythingIsDone) {
  const std::string customer = ada();
  hold(customer);
  ASSERT_TRUE(customers_->disable(customer));
  order(customer);
  pump_.run();
  EXPECT_EQ(saga_state(), SagaState::kUndone);
  EXPECT_EQ(order_.status, OrderStatus::kRejected);
  EXPECT_TRUE(depot_store_.database->read("select 1 from shopping_lists").value().empty());
  EXPECT_EQ(payment_state(), payments::Payment::State::kHeld);
}

TEST_P(CreateOrderTest, APaymentTooSmallRejectsTheOrderAndCancelsTheList) {
  const std::string customer = ada();
  hold(customer, 698);
  order(customer);
  pump_.run();
  EXPECT_EQ(saga_state(), SagaState::kUndone);
  EXPECT_EQ(order_.status, OrderStatus::kRejected);
  EXPECT_EQ(list().status, depot::ListStatus::kCanceled);
  EXPECT_EQ(payment_state(), payments::Payment::State::kHeld);
}

TEST_P(CreateOrderTest, AnotherCustomersPaymentIsNeitherUsedNorGivenBack) {
  hold(customers_->find_or_register("Bob", "+442079460001").value());
  order(ada());
  pump_.run();
  EXPECT_EQ(order_.status, OrderStatus::kRejected);
  EXPECT_EQ(payment_state(), payments::Payment::State::kHeld);
}

TEST_P(CreateOrderTest, CancelledWhileTheSagaRunsEverythingAgreedIsUndone) {
  const std::string customer = ada();
  hold(customer);
  order(customer);
  ASSERT_TRUE(decide(cancel(order_, "changed my mind", false)).has_value());
  pump_.run();
  EXPECT_EQ(saga_state(), SagaState::kUndone);
  EXPECT_EQ(order_.status, OrderStatus::kCancelled);
  EXPECT_EQ(list().status, depot::ListStatus::kCanceled);
  EXPECT_EQ(payment_state(), payments::Payment::State::kVoided);
}

TEST_P(CreateOrderTest, ADepotThatDoesNotAnswerInTimeMakesNoListLater) {
  const std::string customer = ada();
  hold(customer);
  depot_is_away_ = true;
  order(customer);
  pump_.run();
  EXPECT_EQ(saga_state(), SagaState::kRunning);
  ASSERT_EQ(runner_.tick(wall_now_ms() + kStepMs + 1'000).value(), 1U);
  pump_.run();
  EXPECT_EQ(saga_state(), SagaState::kUndone);
  EXPECT_EQ(order_.status, OrderStatus::kRejected);
  depot_is_away_ = false;
  const Deadline patience = Deadline::after_ms(20'000);
  while (lists_asked_for_ == 0 && !patience.has_passed()) pump_.run();  // the command comes again
  EXPECT_NE(lists_asked_for_, 0);
  EXPECT_EQ(list().status, depot::ListStatus::kCanceled);
}

INSTANTIATE_TEST_SUITE_P(Messages, CreateOrderTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Twice" : "Once"; });

TEST(CreateOrderSaga, ItsDiagramShowsStepsAndWhatUndoesThem) {
  const std::string diagram = create_order_saga().plan().mermaid();
  for (const char* step : {"authorize customer", "create shopping list", "confirm payment",
                           "initiate shopping", "approve order"}) {
    EXPECT_NE(diagram.find(step), std::string::npos) << diagram;
  }
}

}  // namespace
}  // namespace mallbots::orders
