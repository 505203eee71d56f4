#include "services/simulators/shoppers/shopping_day.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/services/simulators/fake_kiosk.h"

namespace mallbots::shoppers {
namespace {

using nlohmann::json;
using test::FakeCart;
using test::FakeKiosk;

Retail invoices(int count) {
  std::ostringstream file;
  file << "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
  for (int i = 0; i < count; ++i) {
    file << i << ",85123A,MUG," << 1 + i << ",2010-12-01,2.55," << 10'000 + i << ",UK\n";
    file << i << ",71053,LANTERN,2,2010-12-01,3.39," << 10'000 + i << ",UK\n";
    file << i << ",POST,POSTAGE,1,2010-12-01,18.00," << 10'000 + i << ",UK\n";
  }
  file << "C1,85123A,MUG,-1,2010-12-01,2.55,10000,UK\nC1,71053,LANTERN,-2,2010-12-01,3.39,10000,"
          "UK\n";
  std::istringstream source(file.str());
  return *read_retail(source, "invoices.csv");
}

struct Seen {
  std::map<std::string, json> lines;  ///< by invoice
  Result<DayProgress> day;
};

Seen shop(const Retail& retail, const FakeKiosk& kiosk, std::uint32_t declined_per_mille = 0) {
  Seen seen;
  DayOptions options;
  options.shopper.kiosk = {"127.0.0.1", kiosk.port()};
  options.shopper.run = "test";
  options.shopper.declined_per_mille = declined_per_mille;
  options.kiosks = 4;
  seen.day = shopping_day(
      retail, options,
      [&seen](const std::string& line) {
        const json parsed = json::parse(line);
        EXPECT_TRUE(seen.lines.emplace(parsed["invoice"], parsed).second) << "twice: " << line;
      },
      [](const DayProgress&) {});
  return seen;
}

const FakeCart& cart_of(const FakeKiosk& kiosk, const std::string& invoice) {
  return kiosk.carts().at("shoppers-test-" + invoice + "-cart");
}

void expect_each_ordered_once(const Retail& retail, const FakeKiosk& kiosk, const Seen& seen) {
  ASSERT_TRUE(seen.day.has_value()) << seen.day.error().sentence();
  ASSERT_EQ(seen.lines.size(), retail.orders.size());
  ASSERT_EQ(kiosk.carts().size(), retail.orders.size());
  for (const RetailOrder& order : retail.orders) {
    const FakeCart& cart = cart_of(kiosk, order.invoice);
    EXPECT_EQ(cart.submits, 1);
    EXPECT_EQ(cart.total_minor, order.total.minor);
    EXPECT_EQ(cart.phone, phone_of(order));
    const json& line = seen.lines.at(order.invoice);
    EXPECT_EQ(line["outcome"], "submitted");
    EXPECT_EQ(line["final_total_minor"], order.total.minor);
    EXPECT_EQ(line["status"], order.cancelled_by.empty() ? "completed" : "cancelled");
  }
}

TEST(ShoppingDay, OrdersEachInvoiceOnceAndFollowsItToItsEnd) {
  const FakeKiosk kiosk;
  const Retail retail = invoices(40);
  const Seen seen = shop(retail, kiosk);
  expect_each_ordered_once(retail, kiosk, seen);
  EXPECT_EQ(seen.day->submitted, 40U);
  EXPECT_EQ(seen.day->completed, 39U);
  EXPECT_EQ(seen.day->repetitions, 0U);
  EXPECT_EQ(seen.lines.at("0")["cancel"], "accepted");
}

TEST(ShoppingDay, LostAnswersAndFullGatewaysMakeNoSecondOrder) {
  const FakeKiosk kiosk({.lose_every = 7, .refuse_every = 11});
  const Retail retail = invoices(40);
  const Seen seen = shop(retail, kiosk);
  expect_each_ordered_once(retail, kiosk, seen);
  EXPECT_GT(seen.day->repetitions, 20U);
}

TEST(ShoppingDay, WhoseCardIsDeclinedLeavesTheCartBehind) {
  const FakeKiosk kiosk;
  const Retail retail = invoices(3);
  const Seen seen = shop(retail, kiosk, 1'000);
  ASSERT_TRUE(seen.day.has_value()) << seen.day.error().sentence();
  for (const RetailOrder& order : retail.orders) {
    EXPECT_EQ(seen.lines.at(order.invoice)["outcome"], "declined");
    EXPECT_EQ(cart_of(kiosk, order.invoice).state, "canceled");
  }
  EXPECT_EQ(seen.day->refused, 3U);
}

TEST(ShoppingDay, ClosesWithWhatWasNotEvenTried) {
  const json closing = json::parse(closing_line(invoices(3)));
  EXPECT_EQ(closing, (json{{"invoices", 3}, {"rows", 11}, {"refused_not_goods", 3}}));
}

TEST(Shopper, PhonesBelongToNobodyAndCardsAndTokensAreNotWritten) {
  const FakeKiosk kiosk;
  const Retail retail = invoices(3);
  EXPECT_EQ(phone_of(retail.orders[2]), "+447700900010002");
  for (const auto& [invoice, line] : shop(retail, kiosk).lines) {
    for (const char* secret : {"tok_", "secret-", "7700900"})
      EXPECT_THAT(line.dump(), ::testing::Not(::testing::HasSubstr(secret)));
  }
}

TEST(HttpAddress, RefusesWhatIsNoAddress) {
  EXPECT_TRUE(simulators::HttpAddress::parse("http://127.0.0.1:8080/").has_value());
  for (const char* url : {"", "127.0.0.1:80", "http://127.0.0.1", "http://:80", "http://a:b"})
    EXPECT_FALSE(simulators::HttpAddress::parse(url).has_value()) << url;
}

TEST(HttpClient, GivesUpWithWhatWasInTheWay) {
  simulators::HttpClient client({"127.0.0.1", 1}, 100);
  const auto answer = client.ask({"GET", "/"});
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, ErrorCode::kTimeout);
  EXPECT_THAT(answer.error().sentence(), ::testing::HasSubstr("refused"));
}

}  // namespace
}  // namespace mallbots::shoppers
