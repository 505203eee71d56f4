#include <gtest/gtest.h>

#include "services/runtime/text.h"
#include "services/stores/domain/product.h"
#include "services/stores/domain/store.h"
#include "tests/services/support.h"

namespace mallbots::stores {
namespace {

using test::carry_out;
using test::verdict;

Store open_store() {
  Store store;
  carry_out(store, create(store, "Tea House", "10,4"));
  return store;
}

Product offered_product() {
  Product product;
  carry_out(product, add(product, open_store(), "s1", {"Mug", "", "22423", {1275}}));
  return product;
}

TEST(Store, ReasonOfADenialMayBeAsLongAsTheGatewayPublishes) {
  Store store = open_store();
  carry_out(store, request_participation(store));
  EXPECT_EQ(verdict(deny_participation(store, std::string(kMaxReasonBytes, 'x'))), '+');
  EXPECT_EQ(verdict(deny_participation(store, std::string(kMaxReasonBytes + 1, 'x'))), 'i');
}

TEST(Store, EveryOperationInEveryState) {
  Store none;
  Store closed = open_store();
  Store requested = closed;
  carry_out(requested, request_participation(requested));
  Store participating = requested;
  carry_out(participating, approve_participation(participating));

  const auto row = [](const Store& store) {
    return std::string{verdict(create(store, "Tea House", "10,4")),
                       verdict(create(store, "Other", "1,1")),
                       verdict(rebrand(store, "New Name")),
                       verdict(request_participation(store)),
                       verdict(approve_participation(store)),
                       verdict(deny_participation(store, "too far away")),
                       verdict(end_participation(store))};
  };
  //                       create, other, rebrand, request, approve, deny, end
  EXPECT_EQ(row(none), "++uuuuu");
  EXPECT_EQ(row(closed), ".s+++..");
  EXPECT_EQ(row(requested), ".s+.+++");
  EXPECT_EQ(row(participating), ".s+..s+");
}

TEST(Store, BlankNamesAndPlacesAreRefused) {
  EXPECT_EQ(verdict(create({}, " ", "1,1")), 'i');
  EXPECT_EQ(verdict(create({}, "Tea House", "")), 'i');
  EXPECT_EQ(verdict(rebrand(open_store(), "")), 'i');
  EXPECT_EQ(verdict(rebrand(open_store(), "Tea House")), '.');
}

TEST(Product, EveryOperationInEveryState) {
  const Product none;
  const Product offered = offered_product();
  Product removed = offered;
  carry_out(removed, remove(removed));

  const auto row = [](const Product& product) {
    return std::string{verdict(add(product, open_store(), "s1", {"Mug", "", "22423", {1275}})),
                       verdict(add(product, open_store(), "s2", {"Cup", "", "1", {1}})),
                       verdict(rebrand(product, "Big Mug", "holds a pint")),
                       verdict(change_price(product, {1000})),
                       verdict(change_price(product, {1275})),
                       verdict(remove(product))};
  };
  //                       add, other, rebrand, price, same price, remove
  EXPECT_EQ(row(none), "++uuuu");
  EXPECT_EQ(row(offered), ".s++.+");
  EXPECT_EQ(row(removed), "sssss.");
}

TEST(Product, ItsStoreMustExist) {
  EXPECT_EQ(verdict(add({}, Store{}, "s1", {"Mug", "", "22423", {1275}})), 'u');
}

TEST(Product, PriceEventsCarryNewPriceAndDifference) {
  Product product = offered_product();
  const auto dearer = change_price(product, {1300});
  ASSERT_TRUE(dearer.has_value());
  EXPECT_EQ(std::get<ProductPriceIncreased>(dearer->front()).delta, Money{25});
  EXPECT_EQ(std::get<ProductPriceIncreased>(dearer->front()).price, Money{1300});
  carry_out(product, dearer);
  const auto cheaper = change_price(product, {0});
  EXPECT_EQ(std::get<ProductPriceDecreased>(cheaper->front()).delta, Money{-1300});
}

TEST(Product, NegativeAndForeignPricesAreRefused) {
  EXPECT_EQ(verdict(change_price(offered_product(), {-1})), 'i');
  EXPECT_EQ(verdict(change_price(offered_product(), {10, *parse_currency("EUR")})), 'i');
  EXPECT_EQ(verdict(add({}, open_store(), "s1", {"Mug", "", "22423", {-1}})), 'i');
}

}  // namespace
}  // namespace mallbots::stores
