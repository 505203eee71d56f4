// Staff: those who count at the depot, take payment and hand over, now and then correct a count,
// cancel an order, or disable a customer. README.md says how often.
//
// Who calls: the program `staff`, a thread for each person: round() again and again. What somebody
// does to an order depends on the seed and on the order's number alone, not on when it is seen;
// whoever is started anew goes on, because everything is looked up and nothing is remembered but to
// save work. Errors: those of Desk. What the mall refuses is tried again in a later round, and
// counted.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "services/simulators/desk.h"
#include "shm/base/clock.h"

namespace mallbots::staff {

/// Where somebody stands: robots that wait to be counted are not free, so nobody does both.
enum class Duty : std::uint8_t { kDepot, kDesk };

struct StaffOptions {
  std::uint64_t seed = 1;
  std::uint32_t early_per_mille = 300;   ///< pay as soon as the order is approved
  std::uint32_t cash_per_mille = 200;    ///< pay in cash
  std::uint32_t correct_per_mille = 20;  ///< lists of which one piece less is counted
  std::uint32_t cancel_per_mille = 5;    ///< orders that the staff cancels
  std::uint32_t disable_per_mille = 30;  ///< customers disabled after an order
};

struct StaffProgress {
  std::size_t counted = 0;
  std::size_t corrected = 0;
  std::size_t paid = 0;
  std::size_t released = 0;
  std::size_t cancelled = 0;
  std::size_t disabled = 0;
  std::size_t refused = 0;
};

class Staff {
 public:
  /// Both live longer.
  Staff(simulators::Desk& desk, const StaffOptions& options, Duty duty)
      : desk_(&desk), options_(&options), duty_(duty) {}

  /// Does all that can be done now; gives whether there was anything.
  [[nodiscard]] Result<bool> round();
  [[nodiscard]] const StaffProgress& progress() const noexcept { return progress_; }

 private:
  struct Known {
    bool is_paid = false;
    bool is_done = false;
  };

  /// The same; a refusal is counted, anything done is work.
  [[nodiscard]] Result<bool> note(Result<bool> is_done);
  /// At orders that are not ready yet.
  [[nodiscard]] Result<void> look_ahead();
  [[nodiscard]] Result<void> count(simulators::ListAtDepot list);
  [[nodiscard]] Result<void> before_ready(const simulators::OrderSeen& order);
  [[nodiscard]] Result<void> pick_up(const simulators::OrderSeen& order);
  [[nodiscard]] Result<void> judge(const simulators::OrderSeen& order);
  [[nodiscard]] Result<bool> pay(const std::string& order_id);
  [[nodiscard]] bool falls(std::string_view what, std::string_view on,
                           std::uint32_t per_mille) const;

  simulators::Desk* desk_;
  const StaffOptions* options_;
  Duty duty_;
  StaffProgress progress_;
  std::map<std::string, Known> orders_;
  std::set<std::string> lists_;      ///< counted
  std::set<std::string> customers_;  ///< disabled
  bool has_worked_ = false;
  BootNanos looked_ns_ = 0;  ///< at orders that are not ready
};

}  // namespace mallbots::staff
