#include "services/orders/domain/cart.h"

#include <gtest/gtest.h>

#include "tests/services/support.h"

namespace mallbots::orders {
namespace {

using test::carry_out;
using test::verdict;

Offer mug(std::int64_t pence = 250) {
  return {"s1", "mug", "Tea House", "10,4", "Mug", {pence}, true};
}
Offer cake() { return {"s2", "cake", "Bakery", "3,9", "Cake", {199}, true}; }

Cart open_cart() {
  Cart cart;
  carry_out(cart, start(cart));
  return cart;
}

Cart filled_cart() {
  Cart cart = open_cart();
  carry_out(cart, set_quantity(cart, mug(), 2));
  carry_out(cart, set_quantity(cart, cake(), 1));
  return cart;
}

TEST(Cart, EveryOperationInEveryState) {
  Cart canceled = filled_cart();
  carry_out(canceled, cancel(canceled, "left"));
  Cart checked_out = filled_cart();
  carry_out(checked_out, check_out(checked_out, {"c1", "p1", {699}}));

  const auto row = [](const Cart& cart) {
    const Offer offers[] = {mug(300), cake()};
    return std::string{verdict(start(cart)),
                       verdict(set_quantity(cart, mug(), 3)),
                       verdict(set_quantity(cart, mug(), 0)),
                       verdict(reprice(cart, offers)),
                       verdict(cancel(cart, "left")),
                       verdict(check_out(cart, {"c1", "p1", {699}})),
                       verdict(check_out(cart, {"c1", "p2", {699}}))};
  };
  //                       start, set, take out, reprice, cancel, check out, with another payment
  EXPECT_EQ(row({}), "+uuuuuu");
  EXPECT_EQ(row(open_cart()), ".+..+ss");
  EXPECT_EQ(row(filled_cart()), ".++++++");
  EXPECT_EQ(row(canceled), "ssss.ss");
  EXPECT_EQ(row(checked_out), "sssss.s");
}

TEST(Cart, QuantitiesAreAbsoluteAndLinesKeepTheirOrder) {
  Cart cart = filled_cart();
  carry_out(cart, set_quantity(cart, mug(), 5));
  ASSERT_EQ(cart.lines.size(), 2U);
  EXPECT_EQ(cart.lines[0].product_id, "mug");
  EXPECT_EQ(cart.lines[0].quantity, 5U);
  EXPECT_EQ(verdict(set_quantity(cart, mug(), 5)), '.');
}

TEST(Cart, ALineWithOneLeftStays) {
  Cart cart = filled_cart();
  carry_out(cart, set_quantity(cart, mug(), 1));
  ASSERT_NE(cart.line_of("mug"), nullptr);
  EXPECT_EQ(cart.line_of("mug")->quantity, 1U);
  carry_out(cart, set_quantity(cart, mug(), 0));
  EXPECT_EQ(cart.line_of("mug"), nullptr);
}

TEST(Cart, PriceOfTheFirstMomentStaysUntilReviewed) {
  Cart cart = filled_cart();
  carry_out(cart, set_quantity(cart, mug(300), 3));
  EXPECT_EQ(cart.line_of("mug")->price, Money{250});
  const Offer offers[] = {cake(), mug(300)};
  carry_out(cart, reprice(cart, offers));
  EXPECT_EQ(cart.line_of("mug")->price, Money{300});
  EXPECT_EQ(verdict(reprice(cart, offers)), '.');
}

TEST(Cart, WhatIsNoLongerSoldLeavesAtReview) {
  Cart cart = filled_cart();
  Offer gone = mug();
  gone.is_available = false;
  const Offer offers[] = {gone};
  carry_out(cart, reprice(cart, offers));
  EXPECT_TRUE(cart.lines.empty());
}

TEST(Cart, WhatIsNotSoldCannotBeAddedButTakenOut) {
  Cart cart = filled_cart();
  Offer gone = mug();
  gone.is_available = false;
  EXPECT_EQ(verdict(set_quantity(cart, gone, 3)), 's');
  EXPECT_EQ(verdict(set_quantity(cart, gone, 0)), '+');
}

TEST(Cart, WhatLeavesTheCartWithoutATotalIsNotAdded) {
  const Cart cart = filled_cart();
  Offer foreign = mug();
  foreign.product_id = "tasse";
  foreign.price.currency = *parse_currency("EUR");
  EXPECT_EQ(verdict(set_quantity(cart, foreign, 1)), 'i');
  Offer dear = mug(Money::kMaxMinor);
  dear.product_id = "crown";
  EXPECT_EQ(verdict(set_quantity(cart, dear, 1)), 'i');
  EXPECT_EQ(verdict(set_quantity(open_cart(), dear, 1)), '+');
  EXPECT_EQ(verdict(set_quantity(open_cart(), dear, 2)), 'i');
}

TEST(Cart, WhatHasNoTotalAtTodaysPricesLeavesAtReview) {
  Offer foreign = mug();
  foreign.price.currency = *parse_currency("EUR");
  for (const Offer& today : {mug(Money::kMaxMinor), foreign}) {
    Cart cart = open_cart();
    carry_out(cart, set_quantity(cart, cake(), 1));
    carry_out(cart, set_quantity(cart, mug(), 2));
    const Offer offers[] = {today, cake()};
    carry_out(cart, reprice(cart, offers));
    EXPECT_EQ(cart.line_of("mug"), nullptr);
    EXPECT_EQ(total(cart.lines), Money{199});
    EXPECT_EQ(verdict(reprice(cart, offers)), '.');
  }
}

/// Of a cart that was filled before this was refused.
TEST(Cart, WhatHasNoTotalCanBeTakenOut) {
  Cart cart = filled_cart();
  cart.lines[1].price.currency = *parse_currency("EUR");
  EXPECT_EQ(verdict(set_quantity(cart, cake(), 0)), '+');
}

TEST(Cart, OnlyTheTotalThatWasShownChecksOut) {
  EXPECT_EQ(verdict(check_out(filled_cart(), {"c1", "p1", {698}})), 'c');
  EXPECT_EQ(verdict(check_out(filled_cart(), {"c1", "", {699}})), 'i');
}

TEST(Cart, QuantitiesAndLinesAreLimited) {
  EXPECT_EQ(verdict(set_quantity(open_cart(), mug(), kMaxQuantity + 1)), 'i');
  Cart cart = open_cart();
  cart.lines.resize(kMaxLines);
  EXPECT_EQ(verdict(set_quantity(cart, mug(), 1)), 'i');
}

TEST(Cart, ATotalBeyondAnAmountIsRefused) {
  Cart cart = filled_cart();
  cart.lines[0].price = {Money::kMaxMinor};
  EXPECT_EQ(verdict(check_out(cart, {"c1", "p1", {1}})), 'i');
}

}  // namespace
}  // namespace mallbots::orders
