// The shoppers' and the auditor's readings of invoices share no code; here they read the same
// files, as later months may be: nothing in them is fatal, and both say the same of every row.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "services/simulators/shoppers/retail.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace mallbots::test {
namespace {

constexpr const char* kHeader =
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
constexpr const char* kAuditorReads = R"(
import sys
sys.path.insert(0, "packaging/demo/auditor")
sys.stdout.reconfigure(errors="surrogateescape")
from collections import Counter
import retail
rows, orders = retail.read(sys.argv[1], int(sys.argv[2]))
print("rows", len(rows))
for order in orders:
    print("order", order.invoice, order.customer, order.total_minor, len(order.rows),
          order.cancel.invoice or "-", len(order.cancel.rows))
refused = Counter(row.fate for row in rows if row.fate not in ("order", "cancel"))
for reason, count in sorted(refused.items()):
    print("refused", reason, count)
)";

std::string shoppers_read(const std::string& file, std::size_t limit) {
  std::ifstream source(file);
  const auto retail = shoppers::read_retail(source, file, limit);
  if (!retail) return retail.error().sentence();
  EXPECT_EQ(retail->rows,
            retail->rows_ordered() + retail->rows_cancelling() + retail->rows_refused());
  std::string said = fmt::format("rows {}\n", retail->rows);
  for (const auto& order : retail->orders)
    said += fmt::format("order {} {} {} {} {} {}\n", order.invoice, order.customer,
                        order.total.minor, order.rows,
                        order.cancelled_by.empty() ? "-" : order.cancelled_by, order.cancel_rows);
  std::map<std::string, std::size_t> refused;
  for (std::size_t i = 0; i < shoppers::kRowRefusals; ++i)
    if (retail->refused[i] > 0)
      refused[std::string(name_of(static_cast<shoppers::RowRefusal>(i)))] = retail->refused[i];
  for (const auto& [reason, count] : refused) said += fmt::format("refused {} {}\n", reason, count);
  return said;
}

class NastyRows : public ::testing::Test {
 protected:
  void both_say_the_same(const std::string& rows, std::size_t limit = 100'000) {
    const std::string file = files_ / "invoices.csv";
    std::ofstream(file, std::ios::binary) << kHeader << rows;
    const Finished auditor =
        run({"python3", "-B", "-c", kAuditorReads, file, fmt::format("{}", limit)});
    ASSERT_EQ(auditor.ended.exit_code, 0) << auditor.errors;
    EXPECT_EQ(shoppers_read(file, limit), auditor.output) << rows;
  }

  TempDir files_;
};

TEST_F(NastyRows, EachReasonIsCountedAndNothingIsFatal) {
  const std::string rows =
      "1,85123A,MUG,6,2011-04-01 08:26:00,2.55,17850.0,UK\n"
      "1,85123A,MUG,6,2011-04-01 08:26:00,2.55,17850.0,UK\n"          // a twin
      "1,85123a,mug,1,2011-04-01 08:26:00,2.550,17850.0,UK\n"         // same price, same code
      "1,71053,LANTERN,1,2011-04-01 08:26:00,0.001,17850.0,UK\n"      // no pennies
      "1,71053,LANTERN,1,2011-04-01 08:26:00,13.333,17850.0,UK\n"     //
      "1,POST,POSTAGE,1,2011-04-01 08:26:00,18.00,17850.0,UK\n"       // no goods
      "1,BANK CHARGES,,1,2011-04-01 08:26:00,15.00,17850.0,UK\n"      //
      "1,gift_0001_20,VOUCHER,1,2011-04-01 08:26:00,20.0,17850,UK\n"  //
      "1,22423,,1,2011-04-01 08:26:00,0.0,17850.0,UK\n"               // no price
      "A2,B,Adjust bad debt,1,2011-08-12 14:50:00,-11062.06,,UK\n"    // no goods, below zero
      "A3,22423,STAND,1,2011-08-12 14:50:00,-1.00,,UK\n"              // below zero
      "4,22423,?,-1050,2011-04-01 08:26:00,1.00,,UK\n"                // lost, and no cancellation
      "5,22423,\"STAND, TALL\",1,2011-04-01 08:26:00,12.75,,UK\n"     // a guest
      "6,22423,STAND,80995,2011-12-09 09:15:00,2.08,16446.0,UK\n"     // a mad lot
      "C7,22423,STAND,-80995,2011-12-09 09:27:00,2.08,16446.0,UK\n"   // and back
      "C8,85123A,MUG,-2,2011-04-02 08:26:00,2.55,17850.0,UK\n"        // a part
      "C9,22423,STAND,-1,2011-04-02 08:26:00,12.75,99999.0,UK\n"      // nothing known
      "C9,22423,STAND,3,2011-04-02 08:26:00,12.75,99999.0,UK\n"       // wrong way round
      "10,22423,STAND,99999999999,2011-04-02 08:26:00,1.00,1,UK\n"    // too many
      "11,22423,STAND,2,2011-04-02 08:26:00,9999999999.99,1,UK\n"     // too much
      "12,22423\n"                                                    // torn
      ",22423,STAND,1,2011-04-02 08:26:00,1.00,1,UK\n"                // no number
      "13,22423,STAND,one,2011-04-02 08:26:00,1e2,1,UK\n"             // words
      "14,22423,ST\xff\xfe,1,2011-04-02 08:26:00,1.00,1,UK\n"         // no UTF-8
      "15,22423,\"STAND,1,2011-04-02 08:26:00,1.00,1,UK\n"            // an open quote
      "\n"
      "16,22423,STAND,1,2011-04-02 08:26:00,1.00,1,UK\r\n"
      "17,22423,LAST,1,2011-04-02 08:26:00,1.00,1,UK";  // no end of line
  both_say_the_same(rows);
  const std::string said = shoppers_read(files_ / "invoices.csv", 100);
  for (const char* reason : {"unreadable", "not_goods", "no_price", "negative_price",
                             "price_not_in_pennies", "negative_quantity", "positive_quantity",
                             "too_many", "too_much", "cancels_a_part", "cancels_nothing"})
    EXPECT_NE(said.find(fmt::format("refused {} ", reason)), std::string::npos) << reason << said;
}

/// Mostly good, now and then one of `odd`.
template <std::size_t N>
std::string one_of(std::mt19937& random, const std::string& good,
                   const std::array<const char*, N>& odd) {
  return random() % 12 == 0 ? odd[random() % N] : good;
}

std::string random_row(std::mt19937& random) {
  const bool cancels = random() % 5 == 0;
  const auto number = fmt::format("{}{}", cancels ? "C" : "", 100 + random() % 60);
  const auto quantity = fmt::format("{}{}", cancels ? "-" : "", 1 + random() % 3);
  const auto price = fmt::format("{}.{:02}", random() % 3, random() % 3 * 25);
  const auto customer = random() % 6 == 0 ? "" : fmt::format("{}", 12'346 + random() % 9);
  return fmt::format(
      "{},{},{},{},2011-05-01 10:00:00,{},{},UK\n",
      one_of<6>(random, number, {"", " 7", "c12", "A563187", "5\xc3\xa9", "\xff"}),
      one_of<8>(random, fmt::format("2200{}", random() % 4),
                {"POST", "", "22001a", "22001A", "D", "2200", " 22002 ", "22\t003"}),
      one_of<6>(random, "MUG", {"", "\"A, B\"", "\"say \"\"hi\"\"\"", "?", "RÉGENCE", "a\x01"}),
      one_of<8>(random, quantity, {"0", "-0", "+1", "1.0", "", "100000", "100001", "9e9"}),
      one_of<10>(random, price,
                 {"0.125", "1.999", "-1", ".5", "5.", "1,5", "00.50", "1.250000000", "1e3", "nan"}),
      one_of<4>(random, customer, {"12350.0", "x", " ", "\xf0\x9f\x98\x80"}));
}

TEST_F(NastyRows, ReadAlikeWhateverTheRows) {
  for (unsigned seed = 1; seed <= 12 && !HasFailure(); ++seed) {
    std::mt19937 random{seed};
    std::string rows;
    for (int i = 0; i < 600; ++i) rows += random_row(random);
    both_say_the_same(rows, seed % 3 == 0 ? 20 : 100'000);
  }
}

}  // namespace
}  // namespace mallbots::test
