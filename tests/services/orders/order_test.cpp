#include "services/orders/domain/order.h"

#include <gtest/gtest.h>

#include "services/runtime/text.h"
#include "tests/services/support.h"

namespace mallbots::orders {
namespace {

using test::carry_out;
using test::verdict;

OrderCreated two_mugs_one_cake(const char* payment = "p1") {
  return {"c1",
          payment,
          {{"s1", "mug", "Tea House", "10,4", "Mug", {250}, 2},
           {"s2", "cake", "Bakery", "3,9", "Cake", {199}, 1}},
          {699}};
}
constexpr std::uint32_t kTwo = 2;
const Counted kAll[] = {{"mug", kTwo}, {"cake", 1}};

Order order_in(OrderStatus status) {
  Order order;
  if (status == OrderStatus::kNone) return order;
  carry_out(order, create(order, two_mugs_one_cake()));
  if (status == OrderStatus::kPending) return order;
  if (status == OrderStatus::kRejected) {
    carry_out(order, reject(order, "the customer is disabled"));
    return order;
  }
  if (status == OrderStatus::kCancelled) {
    carry_out(order, cancel(order, "changed my mind", false));
    return order;
  }
  carry_out(order, approve(order, "l1"));
  if (status == OrderStatus::kApproved) return order;
  carry_out(order, start_shopping(order));
  if (status == OrderStatus::kInProgress) return order;
  carry_out(order, ready(order, kAll));
  if (status == OrderStatus::kReady) return order;
  carry_out(order, note_paid(order, "i1"));
  carry_out(order, release(order));
  return order;
}

TEST(Order, ReasonMayBeAsLongAsTheGatewaysPublish) {
  const Order order = order_in(OrderStatus::kApproved);
  EXPECT_EQ(verdict(cancel(order, std::string(kMaxReasonBytes, 'x'), false)), '+');
  EXPECT_EQ(verdict(cancel(order, std::string(kMaxReasonBytes + 1, 'x'), false)), 'i');
}

TEST(Order, EveryOperationInEveryState) {
  const auto row = [](OrderStatus status) {
    const Order order = order_in(status);
    EXPECT_EQ(order.status, status);
    return std::string{verdict(create(order, two_mugs_one_cake())),
                       verdict(create(order, two_mugs_one_cake("p2"))),
                       verdict(reject(order, "no")),
                       verdict(approve(order, "l1")),
                       verdict(start_shopping(order)),
                       verdict(ready(order, kAll)),
                       verdict(note_paid(order, "i1")),
                       verdict(release(order)),
                       verdict(cancel(order, "changed my mind", false)),
                       verdict(cancel(order, "lost", true))};
  };
  // create, with another payment, reject, approve, start, ready, paid, release, cancel, by staff
  EXPECT_EQ(row(OrderStatus::kNone), "++uuuuuuuu");
  EXPECT_EQ(row(OrderStatus::kPending), ".s++ssss++");
  EXPECT_EQ(row(OrderStatus::kRejected), ".s.sssssss");
  EXPECT_EQ(row(OrderStatus::kApproved), ".ss.+++s++");
  EXPECT_EQ(row(OrderStatus::kInProgress), ".sss.++s++");
  EXPECT_EQ(row(OrderStatus::kReady), ".ssss.+sf+");
  EXPECT_EQ(row(OrderStatus::kCompleted), ".sssss..ss");
  EXPECT_EQ(row(OrderStatus::kCancelled), ".s.sssss..");
}

TEST(Order, CompletesWhenReadyPaidAndReleasedWhateverCameFirst) {
  Order paid_first = order_in(OrderStatus::kApproved);
  carry_out(paid_first, note_paid(paid_first, "i1"));
  carry_out(paid_first, ready(paid_first, kAll));
  carry_out(paid_first, release(paid_first));
  EXPECT_EQ(paid_first.status, OrderStatus::kCompleted);

  Order ready_first = order_in(OrderStatus::kReady);
  EXPECT_EQ(verdict(release(ready_first)), 's');
  carry_out(ready_first, note_paid(ready_first, "i1"));
  carry_out(ready_first, release(ready_first));
  EXPECT_EQ(ready_first.status, OrderStatus::kCompleted);
}

TEST(Order, WhatWasNotThereLowersLinesAndTotal) {
  Order order = order_in(OrderStatus::kInProgress);
  const Counted one_mug[] = {{"mug", 1}};
  carry_out(order, ready(order, one_mug));
  EXPECT_EQ(order.status, OrderStatus::kReady);
  ASSERT_EQ(order.lines.size(), 1U);
  EXPECT_EQ(order.total, Money{250});
}

TEST(Order, NothingCountedAtAllCancels) {
  Order order = order_in(OrderStatus::kInProgress);
  carry_out(order, ready(order, {}));
  EXPECT_EQ(order.status, OrderStatus::kCancelled);
}

TEST(Order, MoreThanOrderedCannotBeCounted) {
  const Order order = order_in(OrderStatus::kInProgress);
  const Counted three_mugs[] = {{"mug", 3}};
  const Counted a_hat[] = {{"hat", 1}};
  EXPECT_EQ(verdict(ready(order, three_mugs)), 'i');
  EXPECT_EQ(verdict(ready(order, a_hat)), 'i');
}

TEST(Order, LinesMustMakeTheTotal) {
  OrderCreated wrong = two_mugs_one_cake();
  wrong.total = {700};
  EXPECT_EQ(verdict(create({}, wrong)), 'i');
  EXPECT_EQ(verdict(create({}, {"c1", "p1", {}, {0}})), 'i');
}

TEST(Order, ASecondInvoiceDoesNotPayIt) {
  Order order = order_in(OrderStatus::kApproved);
  carry_out(order, note_paid(order, "i1"));
  EXPECT_EQ(verdict(note_paid(order, "i1")), '.');
  EXPECT_EQ(verdict(note_paid(order, "i2")), 's');
}

}  // namespace
}  // namespace mallbots::orders
