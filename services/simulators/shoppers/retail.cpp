#include "services/simulators/shoppers/retail.h"

#include <fmt/format.h>

#define CSV_IO_NO_THREAD  // a thread that reads ahead gains nothing here
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstringop-truncation"  // the library's own file names
#include <libfccp/csv.h>
#pragma GCC diagnostic pop

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <unordered_map>

#include "services/runtime/limits.h"
#include "services/runtime/text.h"
#include "shm/base/hash.h"

namespace mallbots::shoppers {
namespace {

using Csv = io::CSVReader<6, io::trim_chars<' ', '\t'>, io::double_quote_escape<',', '"'>>;
using Columns = std::array<char*, 6>;
enum Column : std::uint8_t { kInvoice, kCode, kDescription, kQuantity, kPrice, kCustomer };

struct Row {
  std::string code;
  std::string name;
  std::int64_t quantity = 0;
  Money price;
};

struct Invoice {
  std::string number;
  std::string customer;
  std::vector<Row> rows;
  [[nodiscard]] bool is_cancellation() const noexcept { return number.starts_with('C'); }
};

using Quantities = std::map<std::string, std::int64_t>;  // by code

bool is_goods(std::string_view code) {
  return code.size() >= 5 &&
         std::ranges::all_of(code.substr(0, 5), [](char c) { return c >= '0' && c <= '9'; });
}

std::string in_capitals(std::string_view text) {
  std::string capitals(text);
  for (char& c : capitals) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return capitals;
}

/// "price with many decimals" and "no number at all" are two reasons; parse_money knows but one.
RowRefusal refusal_of_price(std::string_view text) {
  const std::size_t point = text.find('.');
  const bool has_decimals = point != std::string_view::npos && text.size() - point > 3;
  if (has_decimals && parse_money(text.substr(0, point + 3))) return RowRefusal::kPriceNotInPennies;
  return RowRefusal::kUnreadable;
}

std::expected<Row, RowRefusal> read_row(const Columns& columns, bool is_cancellation) {
  Row row;
  row.code = in_capitals(columns[kCode]);
  if (row.code.empty() || !checked_text("", row.code)) {
    return std::unexpected(RowRefusal::kUnreadable);
  }
  const std::string_view quantity = columns[kQuantity];
  const auto end = quantity.data() + quantity.size();
  const auto parsed = std::from_chars(quantity.data(), end, row.quantity);
  if (parsed.ec != std::errc{} || parsed.ptr != end)
    return std::unexpected(RowRefusal::kUnreadable);
  const auto price = parse_money(columns[kPrice]);
  if (!price && refusal_of_price(columns[kPrice]) == RowRefusal::kUnreadable) {
    return std::unexpected(RowRefusal::kUnreadable);
  }
  auto name = checked_text("", columns[kDescription]);
  if (name) {
    row.name = *std::move(name);
  } else if (columns[kDescription][0] == '\0') {
    row.name = "Item " + row.code;
  } else {
    return std::unexpected(RowRefusal::kUnreadable);
  }
  if (!is_goods(row.code)) return std::unexpected(RowRefusal::kNotGoods);
  if (!price) return std::unexpected(RowRefusal::kPriceNotInPennies);
  row.price = *price;
  if (row.price.minor == 0) return std::unexpected(RowRefusal::kNoPrice);
  if (row.price.minor < 0) return std::unexpected(RowRefusal::kNegativePrice);
  if (!is_cancellation && row.quantity < 1) return std::unexpected(RowRefusal::kNegativeQuantity);
  if (is_cancellation && row.quantity > -1) return std::unexpected(RowRefusal::kPositiveQuantity);
  return row;
}

/// The file as invoices, with what could not be read already counted.
class InvoiceFile {
 public:
  InvoiceFile(Retail& retail, std::size_t limit) : retail_(retail), limit_(limit) {}

  void add(const Columns& columns) {
    const std::string number = in_capitals(columns[kInvoice]);
    auto at = by_number_.find(number);
    if (at == by_number_.end()) {
      if (invoices_.size() == limit_) return;
      at = by_number_.emplace(number, invoices_.size()).first;
      invoices_.push_back({number, {}, {}});
    }
    ++retail_.rows;
    Invoice& invoice = invoices_[at->second];
    if (number.empty() || !checked_text("", number)) return refuse_row(RowRefusal::kUnreadable);
    if (invoice.customer.empty()) {
      const std::string_view customer = columns[kCustomer];
      invoice.customer = customer.empty() ? "G" + number : fmt::format("C{}", customer);
    }
    auto row = read_row(columns, invoice.is_cancellation());
    if (!row) return refuse_row(row.error());
    invoice.rows.push_back(*std::move(row));
  }
  /// A line that does not split into columns belongs to nobody.
  void add_broken() {
    if (invoices_.size() == limit_) return;
    ++retail_.rows;
    refuse_row(RowRefusal::kUnreadable);
  }
  [[nodiscard]] const std::vector<Invoice>& invoices() const noexcept { return invoices_; }

 private:
  void refuse_row(RowRefusal refusal) { ++retail_.refused[static_cast<std::size_t>(refusal)]; }

  Retail& retail_;
  std::size_t limit_;
  std::vector<Invoice> invoices_;
  std::unordered_map<std::string, std::size_t> by_number_;
};

class Orders {
 public:
  explicit Orders(Retail& retail) : retail_(retail) {}

  void order(const Invoice& invoice) {
    RetailOrder order{invoice.number, invoice.customer};
    for (const Row& row : invoice.rows) add(order, row);
    if (order.lines.empty()) return;
    by_customer_[order.customer].push_back(retail_.orders.size());
    retail_.orders.push_back(std::move(order));
  }

  void cancel(const Invoice& invoice) {
    if (invoice.rows.empty()) return;
    Quantities wanted;
    for (const Row& row : invoice.rows) wanted[row.code] -= row.quantity;
    bool is_part = false;
    std::vector<std::size_t>& theirs = by_customer_[invoice.customer];
    for (auto at = theirs.rbegin(); at != theirs.rend(); ++at) {
      RetailOrder& order = retail_.orders[*at];
      if (!order.cancelled_by.empty()) continue;
      const Quantities has = quantities(order);
      if (has == wanted) {
        order.cancelled_by = invoice.number;
        order.cancel_rows = invoice.rows.size();
        return;
      }
      is_part = is_part || std::ranges::all_of(wanted, [&](const auto& entry) {
                  const auto found = has.find(entry.first);
                  return found != has.end() && found->second >= entry.second;
                });
    }
    refuse(is_part ? RowRefusal::kCancelsAPart : RowRefusal::kCancelsNothing, invoice.rows.size());
  }

 private:
  void refuse(RowRefusal refusal, std::size_t rows) {
    retail_.refused[static_cast<std::size_t>(refusal)] += rows;
  }

  void add(RetailOrder& order, const Row& row) {
    const auto same = std::ranges::find_if(order.lines, [&](const RetailLine& line) {
      return line.code == row.code && line.price == row.price;
    });
    const std::int64_t before = same == order.lines.end() ? 0 : same->quantity;
    const bool is_new = same == order.lines.end();
    if (before + row.quantity > kMaxQuantity || (is_new && order.lines.size() == kMaxLines)) {
      return refuse(RowRefusal::kTooMany, 1);
    }
    const auto amount = times(row.price, row.quantity);
    if (!amount || order.total.minor + amount->minor > Money::kMaxMinor) {
      return refuse(RowRefusal::kTooMuch, 1);
    }
    order.total = order.total + *amount;
    ++order.rows;
    if (is_new) order.lines.push_back({row.code, row.name, row.price, 0, 0});
    RetailLine& line = is_new ? order.lines.back() : *same;
    line.quantity += static_cast<std::uint32_t>(row.quantity);
    ++line.rows;
  }

  [[nodiscard]] static Quantities quantities(const RetailOrder& order) {
    Quantities sums;
    for (const RetailLine& line : order.lines) sums[line.code] += line.quantity;
    return sums;
  }

  Retail& retail_;
  std::unordered_map<std::string, std::vector<std::size_t>> by_customer_;
};

}  // namespace

std::string_view name_of(RowRefusal refusal) noexcept {
  static constexpr std::array<std::string_view, kRowRefusals> kNames = {"unreadable",
                                                                        "not_goods",
                                                                        "no_price",
                                                                        "negative_price",
                                                                        "price_not_in_pennies",
                                                                        "negative_quantity",
                                                                        "positive_quantity",
                                                                        "too_many",
                                                                        "too_much",
                                                                        "cancels_a_part",
                                                                        "cancels_nothing"};
  return kNames[static_cast<std::size_t>(refusal)];
}

std::string RetailLine::sku() const {
  return fmt::format("{}@{}.{:02}", code, price.minor / 100, price.minor % 100);
}

std::size_t Retail::rows_ordered() const noexcept {
  std::size_t sum = 0;
  for (const RetailOrder& order : orders) sum += order.rows;
  return sum;
}

std::size_t Retail::rows_cancelling() const noexcept {
  std::size_t sum = 0;
  for (const RetailOrder& order : orders) sum += order.cancel_rows;
  return sum;
}

std::size_t Retail::rows_refused() const noexcept {
  std::size_t sum = 0;
  for (const std::size_t rows : refused) sum += rows;
  return sum;
}

Result<Retail> read_retail(std::istream& source, const std::string& name, std::size_t limit) {
  Retail retail;
  InvoiceFile file(retail, limit);
  try {
    Csv csv(name, source);
    csv.read_header(io::ignore_extra_column, "InvoiceNo", "StockCode", "Description", "Quantity",
                    "UnitPrice", "CustomerID");
    for (Columns row{};;) {
      try {
        if (!csv.read_row(row[0], row[1], row[2], row[3], row[4], row[5])) break;
        file.add(row);
      } catch (const io::error::too_few_columns&) {
        file.add_broken();
      } catch (const io::error::too_many_columns&) {
        file.add_broken();
      } catch (const io::error::escaped_string_not_closed&) {
        file.add_broken();
      }
    }
  } catch (const io::error::base& wrong) {
    wrong.format_error_message();
    return std::unexpected(
        Error{ErrorCode::kBadArgument, fmt::format("{}: {}", name, wrong.what())});
  }
  Orders orders(retail);
  for (const Invoice& invoice : file.invoices()) {
    invoice.is_cancellation() ? orders.cancel(invoice) : orders.order(invoice);
  }
  return retail;
}

std::size_t store_of(std::string_view code, std::size_t stores) noexcept {
  return xxh3(code.data(), code.size()) % stores;
}

}  // namespace mallbots::shoppers
