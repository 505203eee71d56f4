#include "services/simulators/shoppers/retail.h"

#include <gtest/gtest.h>

#include <sstream>

namespace mallbots::shoppers {
namespace {

constexpr const char* kHeader =
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

Retail read(const std::string& rows, std::size_t limit = ~std::size_t{0}) {
  std::istringstream source(kHeader + rows);
  auto retail = read_retail(source, "orders.csv", limit);
  EXPECT_TRUE(retail.has_value()) << retail.error().sentence();
  EXPECT_EQ(retail->rows,
            retail->rows_ordered() + retail->rows_cancelling() + retail->rows_refused());
  return *std::move(retail);
}

std::string row(const std::string& invoice, const std::string& code, const std::string& quantity,
                const std::string& price, const std::string& customer = "17850") {
  return invoice + "," + code + ",MUG," + quantity + ",2010-12-01 08:26:00," + price + "," +
         customer + ",United Kingdom\n";
}

std::size_t refused(const Retail& retail, RowRefusal refusal) {
  return retail.refused[static_cast<std::size_t>(refusal)];
}

TEST(Retail, AnInvoiceBecomesOneCartWithItsTotal) {
  const Retail retail =
      read(row("536365", "85123A", "6", "2.55") + row("536365", "71053", "6", "3.39") +
           row("536366", "22633", "1", "1.85"));
  ASSERT_EQ(retail.orders.size(), 2U);
  EXPECT_EQ(retail.orders[0].total, Money{3564});
  EXPECT_EQ(retail.orders[0].customer, "C17850");
  EXPECT_EQ(retail.orders[0].lines[0].sku(), "85123A@2.55");
}

TEST(Retail, RowsOfAnInvoiceBelongTogetherWhereverTheyStand) {
  const Retail retail = read(row("1", "85123A", "6", "2.55") + row("2", "85123A", "1", "2.55") +
                             row("1", "71053", "6", "3.39"));
  ASSERT_EQ(retail.orders.size(), 2U);
  EXPECT_EQ(retail.orders[0].rows, 2U);
}

TEST(Retail, OneProductIsACodeInAnyCaseAtOnePrice) {
  const Retail retail = read(row("1", "85123A", "6", "2.55") + row("1", "85123a", "2", "2.55") +
                             row("1", "85123A", "1", "2.95"));
  ASSERT_EQ(retail.orders[0].lines.size(), 2U);
  EXPECT_EQ(retail.orders[0].lines[0].quantity, 8U);
  EXPECT_EQ(retail.orders[0].lines[0].rows, 2U);
  EXPECT_EQ(retail.orders[0].lines[1].quantity, 1U);
}

TEST(Retail, WhoHasNoNumberBuysAsAGuest) {
  const Retail retail = read(row("1", "85123A", "6", "2.55", ""));
  EXPECT_EQ(retail.orders[0].customer, "G1");
}

TEST(Retail, EachRowThatIsNoOrderHasItsReason) {
  const std::tuple<std::string, std::string, std::string, RowRefusal> cases[] = {
      {"85123A", "six", "2.55", RowRefusal::kUnreadable},
      {"85123A", "1", "2,55", RowRefusal::kUnreadable},
      {"85123A", "1", "", RowRefusal::kUnreadable},
      {"", "1", "2.55", RowRefusal::kUnreadable},
      {"85123\xff", "1", "2.55", RowRefusal::kUnreadable},
      {"POST", "1", "18", RowRefusal::kNotGoods},
      {"DCGS0076", "1", "18", RowRefusal::kNotGoods},
      {"85123A", "1", "0", RowRefusal::kNoPrice},
      {"85123A", "1", "-1.00", RowRefusal::kNegativePrice},
      {"85123A", "1", "0.001", RowRefusal::kPriceNotInPennies},
      {"85123A", "-1", "2.55", RowRefusal::kNegativeQuantity},
      {"85123A", "0", "2.55", RowRefusal::kNegativeQuantity},
      {"85123A", "100001", "2.55", RowRefusal::kTooMany},
      {"85123A", "2", "9999999999.99", RowRefusal::kTooMuch}};
  for (const auto& [code, quantity, price, reason] : cases) {
    // Beside a good row, which stays.
    const std::string text = row("1", code, quantity, price) + row("1", "71053", "1", "3.39");
    const Retail retail = read(text);
    EXPECT_EQ(refused(retail, reason), 1U) << name_of(reason);
    EXPECT_EQ(retail.rows_ordered(), 1U) << name_of(reason);
  }
}

TEST(Retail, BrokenLinesAreCountedAndReadingGoesOn) {
  const Retail retail = read("1,85123A\n" + row("1", "71053", "1", "3.39") + "1,\"open,1,2\n" +
                             row("2", "71053", "1", "3.39"));
  EXPECT_EQ(refused(retail, RowRefusal::kUnreadable), 2U);
  EXPECT_EQ(retail.orders.size(), 2U);
}

TEST(Retail, QuotedFieldsKeepTheirCommasAndAMissingNameIsMadeUp) {
  const Retail retail = read(
      "1,85123A,\"MUG, \"\"BIG\"\"\",1,2010-12-01 08:26:00,2.55,17850,EIRE\n"
      "1,71053,,1,2010-12-01 08:26:00,2.55,17850,EIRE\n");
  ASSERT_EQ(retail.orders[0].lines.size(), 2U);
  EXPECT_EQ(retail.orders[0].lines[0].name, "MUG, \"BIG\"");
  EXPECT_EQ(retail.orders[0].lines[1].name, "Item 71053");
}

TEST(Retail, ACancellationTakesTheNewestSuchOrderOfTheCustomer) {
  const std::string order = row("1", "85123A", "6", "2.55");
  const std::string again = row("2", "85123A", "6", "2.55");
  const Retail retail = read(order + again + row("3", "85123A", "6", "2.55", "12345") +
                             row("C4", "85123A", "-6", "2.55"));
  EXPECT_EQ(retail.orders[0].cancelled_by, "");
  EXPECT_EQ(retail.orders[1].cancelled_by, "C4");
  EXPECT_EQ(retail.orders[2].cancelled_by, "");
  EXPECT_EQ(retail.rows_cancelling(), 1U);
}

TEST(Retail, OneOrderIsCancelledOnce) {
  const std::string cancel = row("C4", "85123A", "-6", "2.55") + row("C5", "85123A", "-6", "2.55");
  const Retail retail = read(row("1", "85123A", "6", "2.55") + cancel);
  EXPECT_EQ(retail.orders[0].cancelled_by, "C4");
  EXPECT_EQ(refused(retail, RowRefusal::kCancelsNothing), 1U);
}

TEST(Retail, AReturnOfSomeItemsCancelsNoOrder) {
  const std::string order = row("1", "85123A", "6", "2.55") + row("1", "71053", "2", "3.39");
  const Retail retail = read(order + row("C2", "85123A", "-2", "2.55") +
                             row("C3", "85123A", "-7", "2.55") + row("C4", "71053", "1", "3.39"));
  EXPECT_EQ(refused(retail, RowRefusal::kCancelsAPart), 1U);
  EXPECT_EQ(refused(retail, RowRefusal::kCancelsNothing), 1U);
  EXPECT_EQ(refused(retail, RowRefusal::kPositiveQuantity), 1U);
}

TEST(Retail, TheLimitCountsInvoicesAndLeavesTheOthersOut) {
  const Retail retail = read(row("1", "85123A", "6", "2.55") + row("2", "85123A", "6", "2.55") +
                                 row("1", "71053", "1", "3.39"),
                             1);
  EXPECT_EQ(retail.rows, 2U);
  ASSERT_EQ(retail.orders.size(), 1U);
  EXPECT_EQ(retail.orders[0].rows, 2U);
}

TEST(Retail, AFileWithoutTheColumnsIsRefusedByName) {
  std::istringstream source("a,b\n1,2\n");
  const auto retail = read_retail(source, "wrong.csv");
  ASSERT_FALSE(retail.has_value());
  EXPECT_EQ(retail.error().code, ErrorCode::kBadArgument);
  EXPECT_NE(retail.error().detail.find("wrong.csv"), std::string::npos);
}

TEST(Retail, StoresShareTheCodesWhateverThePrice) {
  EXPECT_EQ(store_of("85123A", 7), store_of("85123A", 7));
  std::vector<int> codes(4, 0);
  for (int code = 10'000; code < 11'000; ++code) ++codes[store_of(std::to_string(code), 4)];
  for (const int count : codes) EXPECT_GT(count, 150);
}

}  // namespace
}  // namespace mallbots::shoppers
