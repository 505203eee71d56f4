#include "services/simulators/shoppers/shopping_day.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "shm/base/clock.h"

namespace mallbots::shoppers {
namespace {

using nlohmann::json;
using Outcome = Errand::Outcome;

constexpr BootNanos kProgressNs = kSecond;
constexpr std::chrono::milliseconds kBetweenLooks{5};

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kSubmitted:
      return "submitted";
    case Outcome::kDeclined:
      return "declined";
    case Outcome::kRefused:
      return "refused";
    case Outcome::kGivenUp:
      return "given up";
  }
  return "";
}

std::string line_of(const Errand& errand) {
  const json line = {{"invoice", errand.order->invoice},
                     {"customer", errand.order->customer},
                     {"outcome", name_of(errand.outcome)},
                     {"order_id", errand.order_id},
                     {"rows", errand.order->rows},
                     {"total_minor", errand.order->total.minor},
                     {"final_total_minor", errand.final_total_minor},
                     {"status", errand.status},
                     {"reason", errand.reason},
                     {"cancel", errand.cancel},
                     {"cart_us", errand.cart_us},
                     {"submit_us", errand.submit_us},
                     {"submitted_ms", errand.submitted_ms}};
  return line.dump();
}

class Day {
 public:
  Day(const Retail& retail, const DayOptions& options,
      const std::function<void(const std::string&)>& line)
      : retail_(&retail), options_(&options), line_(&line), begin_ns_(boot_now_ns()) {
    progress_.orders = retail.orders.size();
  }

  void at_kiosk() {
    Shopper shopper(options_->shopper);
    while (const RetailOrder* order = next()) {
      auto errand = shopper.buy(*order);
      if (!errand) {
        fail(errand.error());
        break;
      }
      bought(*std::move(errand));
    }
    const std::lock_guard lock(mutex_);
    progress_.questions += shopper.questions();
    progress_.repetitions += shopper.repetitions();
    --kiosks_;
  }

  /// Goes round all open orders, over and over, until none is left.
  void follow(const std::function<void(const DayProgress&)>& progress) {
    Shopper shopper(options_->shopper);
    BootNanos told_ns = 0;
    for (;;) {
      if (boot_now_ns() - told_ns >= kProgressNs) {
        told_ns = boot_now_ns();
        progress(so_far(shopper));
      }
      auto errand = take();
      if (!errand) {
        if (is_over()) break;
        // sleep: no order is open yet
        std::this_thread::sleep_for(10 * kBetweenLooks);
        continue;
      }
      const auto looked = shopper.look(*errand);
      if (!looked) fail(looked.error());
      put_back(*std::move(errand));
      if (stands_still()) break;
      // sleep: looks are spaced, so that they do not crowd out the orders
      std::this_thread::sleep_for(kBetweenLooks);
    }
    progress_ = so_far(shopper);
    progress(progress_);
  }

  void open_kiosks(std::size_t count) { kiosks_ = count; }

  /// After all threads: writes what is still open, too.
  Result<DayProgress> close() {
    for (const Errand& errand : open_) (*line_)(line_of(errand));
    if (failure_) return std::unexpected(*failure_);
    if (!open_.empty()) {
      return std::unexpected(
          Error{ErrorCode::kTimeout,
                fmt::format("{} orders have not come to their end; order {} is {}", open_.size(),
                            open_.front().order_id, open_.front().status)});
    }
    return progress_;
  }

 private:
  const RetailOrder* next() {
    std::size_t index = 0;
    {
      const std::lock_guard lock(mutex_);
      if (failure_ || next_ == retail_->orders.size()) return nullptr;
      index = next_++;
    }
    if (options_->orders_per_s > 0) {
      const auto due_ns = begin_ns_ + static_cast<BootNanos>(static_cast<double>(index) * 1e9 /
                                                             options_->orders_per_s);
      const BootNanos now_ns = boot_now_ns();
      // sleep: invoices begin at their times
      if (due_ns > now_ns) std::this_thread::sleep_for(std::chrono::nanoseconds{due_ns - now_ns});
    }
    return &retail_->orders[index];
  }

  void fail(const Error& error) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = error;
  }

  void bought(Errand errand) {
    const std::lock_guard lock(mutex_);
    moved_ns_ = boot_now_ns();
    if (errand.is_open()) {
      ++progress_.submitted;
      open_.push_back(std::move(errand));
      return;
    }
    ++progress_.refused;
    (*line_)(line_of(errand));
  }

  std::optional<Errand> take() {
    const std::lock_guard lock(mutex_);
    if (open_.empty()) return std::nullopt;
    Errand errand = std::move(open_.front());
    open_.pop_front();
    return errand;
  }

  void put_back(Errand errand) {
    const std::lock_guard lock(mutex_);
    if (errand.is_open()) {
      open_.push_back(std::move(errand));
      return;
    }
    moved_ns_ = boot_now_ns();
    progress_.completed += errand.status == "completed" ? 1 : 0;
    progress_.cancelled += errand.status == "cancelled" ? 1 : 0;
    progress_.rejected += errand.status == "rejected" ? 1 : 0;
    (*line_)(line_of(errand));
  }

  bool is_over() {
    const std::lock_guard lock(mutex_);
    return kiosks_ == 0 && open_.empty();
  }

  bool stands_still() {
    const std::lock_guard lock(mutex_);
    if (failure_) return kiosks_ == 0;
    return kiosks_ == 0 && boot_now_ns() - moved_ns_ > options_->standstill_ms * kMillisecond;
  }

  DayProgress so_far(const Shopper& follower) {
    const std::lock_guard lock(mutex_);
    DayProgress progress = progress_;
    progress.questions += follower.questions();
    progress.repetitions += follower.repetitions();
    return progress;
  }

  const Retail* retail_;
  const DayOptions* options_;
  const std::function<void(const std::string&)>* line_;
  BootNanos begin_ns_;
  std::mutex mutex_;  // all below
  std::size_t next_ = 0;
  std::size_t kiosks_ = 0;
  BootNanos moved_ns_ = boot_now_ns();
  DayProgress progress_;
  std::deque<Errand> open_;
  std::optional<Error> failure_;
};

}  // namespace

Result<DayProgress> shopping_day(const Retail& retail, const DayOptions& options,
                                 const std::function<void(const std::string&)>& line,
                                 const std::function<void(const DayProgress&)>& progress) {
  Day day(retail, options, line);
  day.open_kiosks(options.kiosks);
  std::vector<std::jthread> kiosks;
  for (std::size_t i = 0; i < options.kiosks; ++i) kiosks.emplace_back([&day] { day.at_kiosk(); });
  day.follow(progress);
  kiosks.clear();
  return day.close();
}

std::string closing_line(const Retail& retail) {
  json line = {{"invoices", retail.orders.size()}, {"rows", retail.rows}};
  for (std::size_t i = 0; i < kRowRefusals; ++i) {
    if (retail.refused[i] == 0) continue;
    line[fmt::format("refused_{}", name_of(static_cast<RowRefusal>(i)))] = retail.refused[i];
  }
  return line.dump();
}

}  // namespace mallbots::shoppers
