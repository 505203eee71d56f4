// ShoppingDay: all invoices of the file ordered at a number of kiosks, and followed to their end.
//
// Who calls: the program `shoppers`; it waits in run(). Each invoice is one line of the result, the
// moment its fate is known (README.md). Errors: those of Shopper; Timeout (orders stand still).
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "services/simulators/shoppers/shopper.h"

namespace mallbots::shoppers {

struct DayOptions {
  ShopperOptions shopper;
  std::size_t kiosks = 8;
  double orders_per_s = 0;               ///< all kiosks together; 0: as fast as they can
  std::int64_t standstill_ms = 120'000;  ///< with no order coming to its end for so long: over
};

struct DayProgress {
  std::size_t orders = 0;
  std::size_t submitted = 0;
  std::size_t refused = 0;  ///< at the kiosk; declined cards too
  std::size_t completed = 0;
  std::size_t cancelled = 0;
  std::size_t rejected = 0;
  std::uint64_t questions = 0;
  std::uint64_t repetitions = 0;
};

/// `line`: takes one line of the result (calls do not overlap). `progress`: about once a second.
[[nodiscard]] Result<DayProgress> shopping_day(
    const Retail& retail, const DayOptions& options,
    const std::function<void(const std::string&)>& line,
    const std::function<void(const DayProgress&)>& progress);

/// The closing line: how many invoices and rows, and what was refused by reason.
[[nodiscard]] std::string closing_line(const Retail& retail);

}  // namespace mallbots::shoppers
