#include "services/payments/app/payments.h"

#include "services/payments/adapters/simulated_provider.h"
#include "services/runtime/money_proto.h"
#include "tests/services/service_fixture.h"

namespace mallbots::payments {
namespace {

using test::refusal_of;
using toolkit::Context;

/// What happens while the provider is asked to hold.
class InterruptedProvider final : public Provider {
 public:
  explicit InterruptedProvider(Provider& inner) : inner_(&inner) {}
  std::function<void()> before;
  std::function<void()> after;

  Result<Authorization> authorize(std::string_view key, std::string_view card_token,
                                  const Money& amount) override {
    if (before) before();
    auto answer = inner_->authorize(key, card_token, amount);
    if (after) after();
    return answer;
  }
  Result<void> capture(std::string_view key, std::string_view reference,
                       const Money& amount) override {
    return inner_->capture(key, reference, amount);
  }
  Result<void> void_hold(std::string_view key, std::string_view authorize_key) override {
    return inner_->void_hold(key, authorize_key);
  }
  Result<void> refund(std::string_view key, std::string_view reference,
                      const Money& amount) override {
    return inner_->refund(key, reference, amount);
  }
  Result<std::string> fingerprint(std::string_view card_token) override {
    return inner_->fingerprint(card_token);
  }

 private:
  Provider* inner_;
};

class PaymentsTest : public test::ServiceTest {
 protected:
  Outcome<void> hold(std::int64_t pence = 699, const std::string& token = "tok_1") {
    return payments_->authorize({"p1", "c1", token, {pence}});
  }
  toolkit::Handled confirm(std::int64_t pence = 699, const std::string& order = "o1",
                           const std::string& customer = "c1") {
    paymentsapi::ConfirmPayment command;
    command.set_id("p1");
    command.set_order_id(order);
    command.set_customer_id(customer);
    *command.mutable_amount() = to_proto(Money{pence});
    return deliver(command, [&](Context& context, const auto& body) {
      return payments_->confirm(context, body);
    });
  }
  toolkit::Handled approve() {
    ordersapi::OrderApproved event;
    event.set_id("o1");
    event.set_payment_id("p1");
    *event.mutable_total() = to_proto(Money{699});
    return deliver(event, [&](Context& context, const auto& body) {
      return payments_->on_approved(context, body);
    });
  }
  toolkit::Handled ready(std::int64_t pence) {
    ordersapi::OrderReadied event;
    event.set_id("o1");
    *event.mutable_total() = to_proto(Money{pence});
    return deliver(event, [&](Context& context, const auto& body) {
      return payments_->on_readied(context, body);
    });
  }
  toolkit::Handled release() {
    paymentsapi::ReleasePayment command;
    command.set_id("p1");
    command.set_order_id("o1");
    command.set_customer_id("c1");
    return deliver(command, [&](Context& context, const auto& body) {
      return payments_->release(context, body);
    });
  }
  toolkit::Handled cancel() {
    ordersapi::OrderCanceled event;
    event.set_id("o1");
    return deliver(event, [&](Context& context, const auto& body) {
      return payments_->on_canceled(context, body);
    });
  }
  void approved(const std::string& token = "tok_1") {
    // A provider that loses an answer is asked again.
    if (!hold(699, token)) {
      ASSERT_TRUE(hold(699, token).has_value());
    }
    ASSERT_TRUE(confirm().has_value());
    ASSERT_TRUE(approve().has_value());
  }
  /// Carries out all that payments asks of itself, as often as given.
  void serve_commands(int times = 1) {
    const toolkit::TopicNames names = topic_names();
    for (int i = 0; i < times; ++i) {
      for (const auto& command : all_of<paymentsapi::Capture>(names)) {
        static_cast<void>(deliver_bare(command, [&](Context& context, const auto& body) {
          return payments_->capture(context, body);
        }));
      }
      for (const auto& command : all_of<paymentsapi::GiveBack>(names)) {
        static_cast<void>(deliver_bare(command, [&](Context& context, const auto& body) {
          return payments_->give_back(context, body);
        }));
      }
    }
  }
  SimulatedProvider::Account account() {
    const auto accounts = provider_.accounts();
    EXPECT_EQ(accounts.size(), 1U);
    return accounts.empty() ? SimulatedProvider::Account{} : accounts.begin()->second;
  }
  void expect_books(std::int64_t held, std::int64_t captured, std::int64_t refunded) {
    EXPECT_EQ(account().held.minor, held);
    EXPECT_EQ(account().captured.minor, captured);
    EXPECT_EQ(account().refunded.minor, refunded);
  }

  SimulatedProvider provider_;
  InterruptedProvider interrupted_{provider_};
  std::unique_ptr<Payments> payments_ = Payments::open(units(), interrupted_).value();
};

TEST_F(PaymentsTest, PaidEarlyAndNothingMissingTheCardPaysTheInvoice) {
  approved();
  ASSERT_TRUE(payments_->pay("o1", PaidBy::kCard));
  ASSERT_TRUE(ready(699).has_value());
  serve_commands();
  expect_books(0, 699, 0);
  EXPECT_EQ(payments_->invoice("o1")->state, Invoice::State::kPaid);
  const auto paid = all_of<paymentsapi::InvoicePaid>(topic_names());
  ASSERT_EQ(paid.size(), 1U);
  EXPECT_EQ(paid[0].order_id(), "o1");
}

TEST_F(PaymentsTest, WhatTheDepotDidNotFindIsRefundedOnce) {
  approved();
  ASSERT_TRUE(payments_->pay("o1", PaidBy::kCard));
  ASSERT_TRUE(ready(500).has_value());
  ASSERT_TRUE(ready(500).has_value());
  serve_commands(3);
  expect_books(0, 699, 199);
  EXPECT_EQ(payments_->invoice("o1")->paid, Money{500});
  EXPECT_EQ(all_of<paymentsapi::InvoiceRefunded>(topic_names()).size(), 1U);
}

TEST_F(PaymentsTest, CountedBeforePaymentOnlyWhatIsThereIsTaken) {
  approved();
  ASSERT_TRUE(ready(500).has_value());
  ASSERT_TRUE(payments_->pay("o1", PaidBy::kCard));
  serve_commands();
  expect_books(0, 500, 0);
}

TEST_F(PaymentsTest, CashFreesTheHold) {
  approved();
  ASSERT_TRUE(payments_->pay("o1", PaidBy::kCash));
  serve_commands();
  expect_books(0, 0, 0);
  EXPECT_EQ(payments_->invoice("o1")->state, Invoice::State::kPaid);
}

TEST_F(PaymentsTest, CancelledBeforePaymentTheHoldIsFreed) {
  approved();
  ASSERT_TRUE(cancel().has_value());
  serve_commands();
  expect_books(0, 0, 0);
  EXPECT_EQ(refusal_of(payments_->pay("o1", PaidBy::kCard)), RefusalKind::kWrongState);
}

TEST_F(PaymentsTest, CancelledAfterPaymentEverythingComesBack) {
  approved();
  ASSERT_TRUE(payments_->pay("o1", PaidBy::kCard));
  ASSERT_TRUE(cancel().has_value());
  serve_commands(2);
  expect_books(0, 699, 699);
  EXPECT_EQ(payments_->invoice("o1")->state, Invoice::State::kRefunded);
}

TEST_F(PaymentsTest, APaymentPaysOneOrderOfItsCustomerUpToItsAmount) {
  ASSERT_TRUE(hold());
  EXPECT_EQ(confirm(700).error().type, "Refused");
  EXPECT_EQ(confirm(699, "o1", "c2").error().type, "Refused");
  EXPECT_TRUE(confirm().has_value());
  EXPECT_TRUE(confirm().has_value());
  EXPECT_EQ(confirm(699, "o2").error().type, "Refused");
}

TEST_F(PaymentsTest, TheSagaGivesBackWhatItBound) {
  ASSERT_TRUE(hold());
  ASSERT_TRUE(confirm().has_value());
  ASSERT_TRUE(release().has_value());
  serve_commands();
  expect_books(0, 0, 0);
  EXPECT_EQ(confirm().error().type, "Refused");
}

TEST_F(PaymentsTest, WhatAProviderHoldsWhoseAnswerWasLostGoesBack) {
  ASSERT_FALSE(hold(699, "tok_slow").has_value());  // it is held, but nobody heard
  expect_books(699, 0, 0);
  ASSERT_TRUE(release().has_value());
  serve_commands(3);
  expect_books(0, 0, 0);
  EXPECT_EQ(refusal_of(hold(699, "tok_slow")), RefusalKind::kWrongState);
  expect_books(0, 0, 0);
}

TEST_F(PaymentsTest, ReleasedBeforeTheProviderHearsOfItNothingIsHeld) {
  interrupted_.before = [&] {
    ASSERT_TRUE(release().has_value());
    serve_commands();
  };
  EXPECT_EQ(refusal_of(hold()), RefusalKind::kForbidden);
  expect_books(0, 0, 0);
  interrupted_.before = nullptr;
  EXPECT_EQ(refusal_of(hold()), RefusalKind::kWrongState);
}

TEST_F(PaymentsTest, ReleasedWhileTheProviderAnswersTheHoldGoesBack) {
  interrupted_.after = [&] { ASSERT_TRUE(release().has_value()); };
  EXPECT_EQ(refusal_of(hold()), RefusalKind::kWrongState);
  expect_books(699, 0, 0);
  serve_commands(2);
  expect_books(0, 0, 0);
}

TEST_F(PaymentsTest, ADeclinedCardHoldsNothingAndSaysSo) {
  EXPECT_EQ(refusal_of(hold(699, "tok_declined")), RefusalKind::kForbidden);
  EXPECT_EQ(refusal_of(payments_->payment("p1")), RefusalKind::kUnknown);
  EXPECT_EQ(refusal_of(hold(0)), RefusalKind::kInvalid);
}

TEST_F(PaymentsTest, ACaptureDeclinedLeavesTheInvoiceOpenForCash) {
  approved("tok_nocapture");
  EXPECT_EQ(refusal_of(payments_->pay("o1", PaidBy::kCard)), RefusalKind::kForbidden);
  EXPECT_EQ(payments_->invoice("o1")->state, Invoice::State::kPending);
  ASSERT_TRUE(payments_->pay("o1", PaidBy::kCash));
  serve_commands();
  expect_books(0, 0, 0);
}

TEST_F(PaymentsTest, LostAnswersOfTheProviderMoveMoneyOnce) {
  approved("tok_slow");
  const auto unanswered = payments_->pay("o1", PaidBy::kCard);
  ASSERT_FALSE(unanswered.has_value());
  EXPECT_TRUE(std::holds_alternative<Error>(unanswered.error()));
  EXPECT_EQ(payments_->invoice("o1")->state, Invoice::State::kPending);
  serve_commands();  // what was asked is completed without the caller
  EXPECT_EQ(payments_->invoice("o1")->state, Invoice::State::kPaid);
  ASSERT_TRUE(ready(500).has_value());
  serve_commands(3);
  expect_books(0, 699, 199);
}

TEST_F(PaymentsTest, CancelledWhileTheProviderIsAskedTheMoneyComesBack) {
  approved("tok_slow");
  ASSERT_FALSE(payments_->pay("o1", PaidBy::kCard).has_value());  // taken, but nobody heard
  ASSERT_TRUE(cancel().has_value());
  serve_commands(3);
  expect_books(0, 699, 699);
  EXPECT_EQ(payments_->invoice("o1")->state, Invoice::State::kCanceled);
}

TEST_F(PaymentsTest, PaidInCashWhileTheCardIsAskedTheCardGetsItBack) {
  approved("tok_slow");
  ASSERT_FALSE(payments_->pay("o1", PaidBy::kCard).has_value());
  ASSERT_TRUE(payments_->pay("o1", PaidBy::kCash));
  serve_commands(3);
  expect_books(0, 699, 699);
  EXPECT_EQ(all_of<paymentsapi::InvoicePaid>(topic_names()).size(), 1U);
}

TEST_F(PaymentsTest, TheCardIsKnownAgainWithoutBeingKept) {
  approved();
  EXPECT_TRUE(payments_->is_card_of("p1", "tok_1").value());
  EXPECT_FALSE(payments_->is_card_of("p1", "tok_2").value());
  EXPECT_FALSE(payments_->is_card_of("p2", "tok_1").value());
  const auto rows = database_->read("select reference || fingerprint from payments").value();
  EXPECT_EQ(rows.front().text(0).find("tok_1"), std::string_view::npos);
}

}  // namespace
}  // namespace mallbots::payments
