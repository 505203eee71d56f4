#include <gtest/gtest.h>

#include "services/payments/domain/invoice.h"
#include "services/payments/domain/payment.h"
#include "tests/services/support.h"

namespace mallbots::payments {
namespace {

using test::carry_out;
using test::verdict;

Payment asking() {
  Payment payment;
  carry_out(payment, authorize(payment, "c1", {699}));
  return payment;
}
Payment held() {
  Payment payment = asking();
  carry_out(payment, finish_authorize(payment));
  return payment;
}
Payment bound() {
  Payment payment = held();
  carry_out(payment, bind(payment, {"o1", "c1", {699}}));
  return payment;
}
Payment capturing() {
  Payment payment = bound();
  carry_out(payment, ask_capture(payment, {699}));
  return payment;
}
Payment captured() {
  Payment payment = capturing();
  carry_out(payment, finish_capture(payment, true));
  return payment;
}

TEST(Payment, EveryOperationInEveryState) {
  Payment voided = bound();
  carry_out(voided, void_hold(voided));
  const auto row = [](const Payment& payment) {
    return std::string{verdict(authorize(payment, "c1", {699})),
                       verdict(authorize(payment, "c2", {699})),
                       verdict(finish_authorize(payment)),
                       verdict(bind(payment, {"o1", "c1", {699}})),
                       verdict(bind(payment, {"o2", "c1", {699}})),
                       verdict(ask_capture(payment, {699})),
                       verdict(finish_capture(payment, true)),
                       verdict(finish_capture(payment, false)),
                       verdict(void_hold(payment)),
                       verdict(refund_down_to(payment, {500}, "not available"))};
  };
  // authorize, for another, held, bind, to another order, ask, captured, declined, void, refund
  EXPECT_EQ(row({}), "++uuuuuuuu");
  EXPECT_EQ(row(asking()), ".s+sssss+s");
  EXPECT_EQ(row(held()), ".s.++sss+s");
  EXPECT_EQ(row(bound()), ".s..s+s.+s");
  EXPECT_EQ(row(capturing()), ".s..s.++ss");
  EXPECT_EQ(row(captured()), ".s..s..ss+");
  EXPECT_EQ(row(voided), "ssssssss.s");
}

TEST(Payment, PaysOneOrderOfItsOwnCustomerUpToWhatIsHeld) {
  EXPECT_EQ(verdict(bind(held(), {"o1", "c2", {699}})), 'f');
  EXPECT_EQ(verdict(bind(held(), {"o1", "c1", {700}})), 'i');
  EXPECT_EQ(verdict(bind(held(), {"o1", "c1", {699, *parse_currency("EUR")}})), 'i');
  EXPECT_EQ(verdict(bind(held(), {"o1", "c1", {1}})), '+');
  EXPECT_EQ(verdict(ask_capture(bound(), {700})), 'i');
  EXPECT_EQ(verdict(ask_capture(bound(), {0})), 'i');
  EXPECT_EQ(verdict(authorize({}, "c1", {0})), 'i');
}

TEST(Payment, ARepeatedRefundGivesNothingMore) {
  Payment payment = captured();
  carry_out(payment, refund_down_to(payment, {500}, "not available"));
  EXPECT_EQ(payment.refunded, Money{199});
  EXPECT_EQ(verdict(refund_down_to(payment, {500}, "not available")), '.');
  carry_out(payment, refund_down_to(payment, {0}, "cancelled"));
  EXPECT_EQ(payment.refunded, Money{699});
  EXPECT_EQ(verdict(refund_down_to(payment, {-1}, "more")), 'i');
}

Invoice pending() {
  Invoice invoice;
  carry_out(invoice, create(invoice, "o1", "p1", {699}));
  return invoice;
}
Invoice paid() {
  Invoice invoice = pending();
  carry_out(invoice, pay(invoice, PaidBy::kCard));
  return invoice;
}

TEST(Invoice, EveryOperationInEveryState) {
  Invoice canceled = pending();
  carry_out(canceled, cancel(canceled));
  Invoice refunded = paid();
  carry_out(refunded, cancel(refunded));
  EXPECT_EQ(refunded.paid, Money{0});
  const auto row = [](const Invoice& invoice) {
    return std::string{verdict(create(invoice, "o1", "p1", {699})),
                       verdict(create(invoice, "o2", "p1", {699})), verdict(adjust(invoice, {500})),
                       verdict(pay(invoice, PaidBy::kCash)), verdict(cancel(invoice))};
  };
  // create, for another order, adjust, pay, cancel
  EXPECT_EQ(row({}), "++uuu");
  EXPECT_EQ(row(pending()), ".s+++");
  EXPECT_EQ(row(paid()), ".s+.+");
  EXPECT_EQ(row(canceled), ".sss.");
  EXPECT_EQ(row(refunded), ".sss.");
}

TEST(Invoice, AdjustedBeforePaymentItAsksForLess) {
  Invoice invoice = pending();
  carry_out(invoice, adjust(invoice, {500}));
  carry_out(invoice, pay(invoice, PaidBy::kCash));
  EXPECT_EQ(invoice.paid, Money{500});
}

TEST(Invoice, AdjustedAfterPaymentItRefundsTheDifferenceOnce) {
  Invoice invoice = paid();
  carry_out(invoice, adjust(invoice, {500}));
  EXPECT_EQ(invoice.paid, Money{500});
  EXPECT_EQ(verdict(adjust(invoice, {500})), '.');
  carry_out(invoice, cancel(invoice));
  EXPECT_EQ(invoice.paid, Money{0});
}

TEST(Invoice, NobodyPaysMoreThanWasConfirmed) {
  EXPECT_EQ(verdict(adjust(pending(), {700})), 'i');
  EXPECT_EQ(verdict(adjust(pending(), {-1})), 'i');
  EXPECT_EQ(verdict(create({}, "o1", "p1", {-1})), 'i');
}

}  // namespace
}  // namespace mallbots::payments
