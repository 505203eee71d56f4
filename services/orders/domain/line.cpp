#include "services/orders/domain/line.h"

#include <fmt/format.h>

namespace mallbots::orders {

Decision<Money> total(std::span<const Line> lines, Currency currency) {
  Money sum{0, lines.empty() ? currency : lines.front().price.currency};
  for (const Line& line : lines) {
    if (line.price.currency != sum.currency) {
      return refuse(RefusalKind::kInvalid,
                    fmt::format("'{}' is sold in another currency", line.product_name));
    }
    auto amount = times(line.price, line.quantity);
    if (!amount) return amount;
    sum = sum + *amount;
    if (sum.minor > Money::kMaxMinor) {
      return refuse(RefusalKind::kInvalid, "the total is more than one amount may be");
    }
  }
  return sum;
}

}  // namespace mallbots::orders
