// Retail: months of real invoices as carts to be ordered, by the rules of README.md.
//
// Who calls: the shoppers, once, before they begin; one thread. Reads the whole file (half a
// million rows take about 200 MB). Errors: BadArgument (no such columns in the header).
#pragma once

#include <array>
#include <cstdint>
#include <istream>
#include <string>
#include <string_view>
#include <vector>

#include "services/runtime/money.h"
#include "shm/base/result.h"

namespace mallbots::shoppers {

enum class RowRefusal : std::uint8_t {
  kUnreadable,
  kNotGoods,
  kNoPrice,
  kNegativePrice,
  kPriceNotInPennies,
  kNegativeQuantity,
  kPositiveQuantity,
  kTooMany,
  kTooMuch,
  kCancelsAPart,
  kCancelsNothing,
};
inline constexpr std::size_t kRowRefusals = 11;

/// "unreadable", "not_goods", ...
[[nodiscard]] std::string_view name_of(RowRefusal refusal) noexcept;

struct RetailLine {
  std::string code;  ///< stock code, capitals
  std::string name;
  Money price;
  std::uint32_t quantity = 0;
  std::size_t rows = 0;  ///< of the file

  /// What the catalogue calls the product: CODE@PRICE.
  [[nodiscard]] std::string sku() const;
};

struct RetailOrder {
  std::string invoice;
  std::string customer;  ///< "C" and the CustomerID, or "G" and the invoice
  std::vector<RetailLine> lines;
  Money total;
  std::size_t rows = 0;
  /// The invoice that cancels it, and how many rows say so; empty: none.
  std::string cancelled_by;
  std::size_t cancel_rows = 0;
};

struct Retail {
  std::vector<RetailOrder> orders;  ///< as they begin in the file
  std::size_t rows = 0;             ///< without the header
  std::array<std::size_t, kRowRefusals> refused{};

  [[nodiscard]] std::size_t rows_ordered() const noexcept;
  [[nodiscard]] std::size_t rows_cancelling() const noexcept;
  [[nodiscard]] std::size_t rows_refused() const noexcept;
};

/// `name` is for messages. At most `limit` invoices: rows of others are not counted at all.
[[nodiscard]] Result<Retail> read_retail(std::istream& source, const std::string& name,
                                         std::size_t limit = ~std::size_t{0});

/// Which of `stores` sells the code.
[[nodiscard]] std::size_t store_of(std::string_view code, std::size_t stores) noexcept;

}  // namespace mallbots::shoppers
