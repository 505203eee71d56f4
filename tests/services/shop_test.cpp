// The whole shop in one process: orders, customers, depot and payments, each over its own store,
// the create-order saga, and one bus between them; no gateways. Each test is one story. Run once
// with every message once, once with every message twice.
#include <gtest/gtest.h>

#include "clients/toolkit/cqrs/processors.h"
#include "clients/toolkit/saga/saga_runner.h"
#include "services/customers/app/customers.h"
#include "services/depot/app/depot.h"
#include "services/orders/app/create_order.h"
#include "services/orders/app/orders.h"
#include "services/payments/adapters/simulated_provider.h"
#include "services/payments/app/payments.h"
#include "services/runtime/money_proto.h"
#include "tests/clients/toolkit/pump.h"
#include "tests/services/publishing_streams.h"
#include "tests/services/service_fixture.h"

namespace mallbots {
namespace {

using toolkit::CommandProcessor;
using toolkit::Context;
using toolkit::EventGroup;
using toolkit::Handled;

struct Store {
  std::unique_ptr<toolkit::Database> database = toolkit::Database::open().value();
  std::unique_ptr<toolkit::Inbox> inbox = toolkit::Inbox::open(*database).value();
  std::unique_ptr<toolkit::Outbox> outbox = toolkit::Outbox::open(*database).value();
  [[nodiscard]] Units units() { return {*database, *outbox}; }
};

class Shop : public testing::TestWithParam<bool> {
 protected:
  Shop() {
    pump_.twice = GetParam();
    EXPECT_TRUE(saga_.open());
    pump_.add(saga_.registration());
    wire_customers();
    wire_depot();
    wire_payments();
    wire_orders();
    open_stores();
  }

  /// A function for each member, as the processors want it.
  template <class App, class Answer, class Body>
  static auto call(App& app, Answer (App::*member)(Context&, const Body&)) {
    return
        [&app, member](Context& context, const Body& body) { return (app.*member)(context, body); };
  }
  template <class App, class Answer, class Body>
  static auto call(App& app, Answer (App::*member)(Context&, const Body&) const) {
    return
        [&app, member](Context& context, const Body& body) { return (app.*member)(context, body); };
  }
  void serve(Store& store, const CommandProcessor& commands, const EventGroup* events) {
    pump_.add(commands.registrations(), *store.database, *store.inbox, *store.outbox);
    if (events != nullptr) {
      pump_.add(events->registration(), *store.database, *store.inbox, *store.outbox);
    }
    relays_.push_back(std::make_unique<toolkit::Relay>(*store.database, *store.outbox, bus_));
    pump_.add([relay = relays_.back().get()] { return relay->run_once().value(); });
  }
  template <class Event>
  auto offer_handler() {
    return [this](Context& context, const Event& event) { return offers_->on(context, event); };
  }
  void wire_customers() {
    CommandProcessor commands(customers::topic_names());
    EXPECT_TRUE(commands.handle<customersapi::AuthorizeCustomer>(
        call(*customers_, &customers::Customers::authorize)));
    serve(customers_store_, commands, nullptr);
  }
  void wire_depot() {
    using depot::Depot;
    CommandProcessor commands(depot::topic_names());
    EXPECT_TRUE(commands.handle<depotapi::CreateShoppingList>(call(*depot_, &Depot::create)));
    EXPECT_TRUE(commands.handle<depotapi::InitiateShopping>(call(*depot_, &Depot::initiate)));
    EXPECT_TRUE(commands.handle<depotapi::CancelShoppingList>(call(*depot_, &Depot::cancel)));
    EventGroup events("depot.orders", depot::topic_names());
    events.on_from<ordersapi::OrderCanceled>(orders::topic_names(),
                                             call(*depot_, &Depot::on_order_canceled));
    serve(depot_store_, commands, &events);
  }
  void wire_payments() {
    using payments::Payments;
    const auto names = payments::topic_names();
    CommandProcessor commands(names);
    EXPECT_TRUE(commands.handle<paymentsapi::ConfirmPayment>(call(*payments_, &Payments::confirm)));
    EXPECT_TRUE(commands.handle<paymentsapi::ReleasePayment>(call(*payments_, &Payments::release)));
    EventGroup events("payments.orders", names);
    events
        .on_from<ordersapi::OrderApproved>(orders::topic_names(),
                                           call(*payments_, &Payments::on_approved))
        .on_from<ordersapi::OrderReadied>(orders::topic_names(),
                                          call(*payments_, &Payments::on_readied))
        .on_from<ordersapi::OrderRejected>(orders::topic_names(),
                                           call(*payments_, &Payments::on_rejected))
        .on_from<ordersapi::OrderCanceled>(orders::topic_names(),
                                           call(*payments_, &Payments::on_canceled));
    serve(payments_store_, commands, &events);
    // These ask the provider, so they stand in no transaction.
    CommandProcessor own(names);
    EXPECT_TRUE(own.handle<paymentsapi::Capture>(call(*payments_, &Payments::capture)));
    EXPECT_TRUE(own.handle<paymentsapi::GiveBack>(call(*payments_, &Payments::give_back)));
    pump_.add(own.registrations());
  }
  void wire_orders() {
    using orders::Orders;
    CommandProcessor commands(orders::topic_names());
    EXPECT_TRUE(commands.handle<ordersapi::ApproveOrder>(call(orders_, &Orders::approve)));
    EXPECT_TRUE(commands.handle<ordersapi::RejectOrder>(call(orders_, &Orders::reject)));
    EventGroup events("orders", orders::topic_names());
    events.on<ordersapi::CartCheckedOut>(call(orders_, &Orders::on_checked_out))
        .on_from<depotapi::ShoppingStarted>(depot::topic_names(),
                                            call(orders_, &Orders::on_started))
        .on_from<depotapi::ShoppingListCompleted>(depot::topic_names(),
                                                  call(orders_, &Orders::on_completed))
        .on_from<paymentsapi::InvoicePaid>(payments::topic_names(),
                                           call(orders_, &Orders::on_paid));
    pump_.add(commands.registrations());
    pump_.add(events.registration());
    EventGroup catalogue("orders.catalogue", stores::topic_names());
    catalogue.on<storesapi::StoreCreated>(offer_handler<storesapi::StoreCreated>())
        .on<storesapi::StoreRebranded>(offer_handler<storesapi::StoreRebranded>())
        .on<storesapi::StoreParticipatingToggled>(
            offer_handler<storesapi::StoreParticipatingToggled>())
        .on<storesapi::ProductAdded>(offer_handler<storesapi::ProductAdded>())
        .on<storesapi::ProductRebranded>(offer_handler<storesapi::ProductRebranded>())
        .on<storesapi::ProductPriceIncreased>(offer_handler<storesapi::ProductPriceIncreased>())
        .on<storesapi::ProductPriceDecreased>(offer_handler<storesapi::ProductPriceDecreased>())
        .on<storesapi::ProductRemoved>(offer_handler<storesapi::ProductRemoved>());
    serve(orders_store_, CommandProcessor(stores::topic_names()), &catalogue);
  }

  template <class Event>
  void tell(const toolkit::TopicNames& names, const Event& event) {
    EXPECT_TRUE(toolkit::EventBus(names).publish(bus_, event));
  }
  void open_stores() {
    storesapi::StoreCreated store;
    store.set_id("s1");
    store.set_name("Tea House");
    store.set_location("10,4");
    tell(stores::topic_names(), store);
    take_part(true);
    for (const auto& [id, pence] : {std::pair{"mug", 250}, std::pair{"cake", 199}}) {
      storesapi::ProductAdded product;
      product.set_id(id);
      product.set_store_id("s1");
      product.set_name(id);
      *product.mutable_price() = to_proto(Money{pence});
      tell(stores::topic_names(), product);
    }
    pump_.run();
  }
  void take_part(bool participating) {
    storesapi::StoreParticipatingToggled toggled;
    toggled.set_id("s1");
    toggled.set_participating(participating);
    tell(stores::topic_names(), toggled);
    pump_.run();
  }
  void new_price(const std::string& product, std::int64_t pence) {
    storesapi::ProductPriceIncreased dearer;
    dearer.set_id(product);
    *dearer.mutable_price() = to_proto(Money{pence});
    tell(stores::topic_names(), dearer);
    pump_.run();
  }

  /// Two mugs and a cake: 6.99.
  void fill_cart() {
    ASSERT_TRUE(orders_.start_cart("o1"));
    ASSERT_TRUE(orders_.set_quantity("o1", "mug", 2));
    ASSERT_TRUE(orders_.set_quantity("o1", "cake", 1));
  }
  Outcome<void> submit(std::int64_t pence = 699) {
    customer_ = customers_->find_or_register("Ada", "+442079460000").value();
    EXPECT_TRUE(payments_->authorize({"p1", customer_, "tok_1", {pence}}));
    return orders_.check_out("o1", {customer_, "p1", {pence}});
  }
  void order_approved() {
    fill_cart();
    ASSERT_TRUE(submit());
    pump_.run();
    ASSERT_EQ(status(), orders::OrderStatus::kApproved);
  }
  /// The robot fetches; `cakes` of the one wanted are there.
  void fetch(std::uint32_t cakes = 1) {
    const auto welcome = depot_->hello("b1", "Robbie").value();
    const depot::Depot::Reporter robbie{"b1", welcome.epoch, welcome.list_id};
    list_id_ = welcome.list_id;
    ASSERT_TRUE(depot_->started(robbie));
    ASSERT_TRUE(depot_->arrived_at_store(robbie, "s1"));
    const depot::ItemReport items[] = {{"mug", 2, 0}, {"cake", cakes, 1 - cakes}};
    ASSERT_TRUE(depot_->items_picked(robbie, "s1", items));
    ASSERT_TRUE(depot_->arrived_at_depot(robbie));
    const depot::ItemCount counted[] = {{"mug", 2}, {"cake", cakes}};
    ASSERT_TRUE(depot_->take_inventory(list_id_, counted));
    pump_.run();
  }
  orders::OrderStatus status() { return orders_.order("o1")->status; }
  payments::SimulatedProvider::Account account() { return provider_.accounts().begin()->second; }

  toolkit::InProcessBus bus_{{.keep_all = true}};
  test::Pump pump_{bus_};
  std::vector<std::unique_ptr<toolkit::Relay>> relays_;
  Store customers_store_;
  Store depot_store_;
  Store payments_store_;
  Store orders_store_;
  test::PublishingStreams streams_{bus_, {.topic_of = [](const std::string& stream) -> std::string {
                                     return stream.starts_with("cart-")
                                                ? "mallbots.orders.events.Cart"
                                                : "mallbots.orders.events.Order";
                                   }}};
  payments::SimulatedProvider provider_;
  std::unique_ptr<customers::Customers> customers_ =
      customers::Customers::open(customers_store_.units()).value();
  std::unique_ptr<depot::Depot> depot_ =
      depot::Depot::open(depot_store_.units(), toolkit::system_clock()).value();
  std::unique_ptr<payments::Payments> payments_ =
      payments::Payments::open(payments_store_.units(), provider_).value();
  std::unique_ptr<orders::Offers> offers_ = orders::Offers::open(orders_store_.units()).value();
  orders::Orders orders_{streams_, *offers_};
  toolkit::SagaRunner saga_{orders::create_order_saga().plan(),
                            {*orders_store_.database, *orders_store_.inbox, *orders_store_.outbox},
                            orders::topic_names()};
  std::string customer_;
  std::string list_id_;
};

TEST_P(Shop, FromCartToPickupPaidWhenReady) {
  order_approved();
  fetch();
  EXPECT_EQ(status(), orders::OrderStatus::kReady);
  EXPECT_EQ(test::refusal_of(orders_.release("o1")), RefusalKind::kWrongState);
  ASSERT_TRUE(payments_->pay("o1", payments::PaidBy::kCard));
  pump_.run();
  ASSERT_TRUE(orders_.release("o1"));
  EXPECT_EQ(status(), orders::OrderStatus::kCompleted);
  EXPECT_EQ(account().captured, Money{699});
  EXPECT_EQ(account().refunded, Money{0});
}

TEST_P(Shop, PaidEarlyAndAnItemMissingTheDifferenceComesBack) {
  order_approved();
  ASSERT_TRUE(payments_->pay("o1", payments::PaidBy::kCard));
  pump_.run();
  fetch(0);
  EXPECT_EQ(orders_.order("o1")->total, Money{500});
  ASSERT_TRUE(orders_.release("o1"));
  EXPECT_EQ(status(), orders::OrderStatus::kCompleted);
  EXPECT_EQ(account().captured, Money{699});
  EXPECT_EQ(account().refunded, Money{199});
}

TEST_P(Shop, CancelledWhileTheRobotShopsItBringsTheCargoBackAndTheHoldEnds) {
  order_approved();
  const auto welcome = depot_->hello("b1", "Robbie").value();
  const depot::Depot::Reporter robbie{"b1", welcome.epoch, welcome.list_id};
  ASSERT_TRUE(depot_->started(robbie));
  pump_.run();
  EXPECT_EQ(status(), orders::OrderStatus::kInProgress);
  ASSERT_TRUE(orders_.cancel_order("o1", "changed my mind", false));
  pump_.run();
  EXPECT_EQ(status(), orders::OrderStatus::kCancelled);
  EXPECT_EQ(depot_->list(welcome.list_id)->status, depot::ListStatus::kCanceled);
  EXPECT_EQ(test::refusal_of(depot_->arrived_at_store(robbie, "s1")), RefusalKind::kForbidden);
  ASSERT_TRUE(depot_->emptied(robbie));
  EXPECT_EQ(depot_->bot("b1")->status, depot::BotStatus::kIdle);
  EXPECT_EQ(account().held, Money{0});
  EXPECT_EQ(account().captured, Money{0});
}

TEST_P(Shop, ARobotThatIsFasterThanTheApprovalIsHeardAfterIt) {
  fill_cart();
  ASSERT_TRUE(submit());
  depotapi::ShoppingStarted started;
  started.set_order_id("o1");
  tell(depot::topic_names(), started);
  pump_.run();
  const Deadline patience = Deadline::after_ms(5'000);
  while (status() == orders::OrderStatus::kApproved && !patience.has_passed()) pump_.run();
  EXPECT_EQ(status(), orders::OrderStatus::kInProgress);
}

TEST_P(Shop, CancelledByTheStaffAfterPaymentEverythingComesBack) {
  order_approved();
  ASSERT_TRUE(payments_->pay("o1", payments::PaidBy::kCard));
  pump_.run();
  fetch();
  EXPECT_EQ(test::refusal_of(orders_.cancel_order("o1", "late", false)), RefusalKind::kForbidden);
  ASSERT_TRUE(orders_.cancel_order("o1", "never collected", true));
  pump_.run();
  EXPECT_EQ(account().captured, Money{699});
  EXPECT_EQ(account().refunded, Money{699});
}

TEST_P(Shop, APriceThatRoseAfterReviewIsShownBeforeItIsPaid) {
  fill_cart();
  EXPECT_FALSE(orders_.review("o1").value());
  new_price("mug", 300);
  ASSERT_TRUE(submit());  // confirmed was what the cart says: 6.99, and that is what it costs
  pump_.run();
  EXPECT_EQ(orders_.order("o1")->total, Money{699});
}

TEST_P(Shop, AReviewedCartTakesTodaysPricesAndTheOldTotalNoLonger) {
  fill_cart();
  new_price("mug", 300);
  EXPECT_TRUE(orders_.review("o1").value());
  EXPECT_EQ(test::refusal_of(submit()), RefusalKind::kConflict);
}

TEST_P(Shop, AStoreThatLeavesTakesItsGoodsOutOfOpenCarts) {
  fill_cart();
  take_part(false);
  EXPECT_EQ(test::refusal_of(orders_.set_quantity("o1", "mug", 3)), RefusalKind::kWrongState);
  EXPECT_TRUE(orders_.review("o1").value());
  EXPECT_TRUE(orders_.cart("o1")->lines.empty());
}

TEST_P(Shop, ADisabledCustomersOrderIsRejectedAndTheMoneyStaysTheirs) {
  fill_cart();
  ASSERT_TRUE(submit());
  ASSERT_TRUE(customers_->disable(customer_));
  pump_.run();
  EXPECT_EQ(status(), orders::OrderStatus::kRejected);
  EXPECT_EQ(account().captured, Money{0});
  EXPECT_EQ(account().held, Money{0});
}

TEST_P(Shop, ARequestThatComesTwiceIsOneRequest) {
  const toolkit::Cause request{.causation_id = "request-1"};
  ASSERT_TRUE(orders_.start_cart("o1"));
  ASSERT_TRUE(orders_.set_quantity("o1", "mug", 2, request));
  ASSERT_TRUE(orders_.set_quantity("o1", "mug", 5));
  ASSERT_TRUE(orders_.set_quantity("o1", "mug", 2, request));  // a late repetition
  EXPECT_EQ(orders_.cart("o1")->line_of("mug")->quantity, 5U);
}

TEST_P(Shop, NobodyKnowsStrangers) {
  EXPECT_EQ(test::refusal_of(orders_.cart("none")), RefusalKind::kUnknown);
  EXPECT_EQ(test::refusal_of(orders_.order("none")), RefusalKind::kUnknown);
  EXPECT_EQ(test::refusal_of(orders_.set_quantity("none", "mug", 1)), RefusalKind::kUnknown);
  EXPECT_EQ(test::refusal_of(orders_.set_quantity("none", "hat", 1)), RefusalKind::kUnknown);
}

INSTANTIATE_TEST_SUITE_P(Messages, Shop, testing::Bool(),
                         [](const auto& info) { return info.param ? "Twice" : "Once"; });

}  // namespace
}  // namespace mallbots
