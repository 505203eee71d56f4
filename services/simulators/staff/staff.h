// Staff: those who count at the depot, take payment and hand over, now and then correct a count,
// cancel an order, or disable a customer. README.md says how often.
//
// Who calls: the program `staff`, one thread: round() again and again. What somebody does to an
// order depends on the seed and on the order's number alone, not on when it is seen; whoever is
// started anew goes on, because everything is looked up and nothing is remembered but to save work.
// Errors: those of StaffSession (the gateway did not answer for minutes, or the account is wrong).
// What the mall refuses is tried again in a later round, and counted.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <string_view>

#include "services/simulators/staff_session.h"

namespace mallbots::staff {

struct StaffOptions {
  simulators::HttpAddress admin;
  simulators::StaffAccount account;  ///< depot-admin
  std::string shift;                 ///< part of every idempotency key: another start, other keys
  std::uint64_t seed = 1;
  std::uint32_t early_per_mille = 300;   ///< pay as soon as the order is approved
  std::uint32_t cash_per_mille = 200;    ///< pay in cash
  std::uint32_t correct_per_mille = 20;  ///< lists of which one piece less is counted
  std::uint32_t cancel_per_mille = 5;    ///< orders that the staff cancels
  std::uint32_t disable_per_mille = 10;  ///< customers disabled after their first order
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
  explicit Staff(const StaffOptions& options)
      : options_(&options), session_(options.admin, options.account) {}

  /// Does all that can be done now; gives whether there was anything.
  [[nodiscard]] Result<bool> round();
  [[nodiscard]] const StaffProgress& progress() const noexcept { return progress_; }

 private:
  using Json = nlohmann::json;
  struct Known {
    bool is_paid = false;
    bool is_done = false;
  };

  /// Each row of all pages of `path`, in the member `rows`.
  template <class Visit>
  [[nodiscard]] Result<void> each(const std::string& path, const std::string& rows,
                                  const Visit& visit);
  /// Whether the mall did it; a refusal is counted.
  [[nodiscard]] Result<bool> command(const std::string& method, const std::string& path,
                                     const std::string& body = {});
  [[nodiscard]] Result<void> count(const Json& list);
  [[nodiscard]] Result<void> before_ready(const Json& order);
  [[nodiscard]] Result<void> pick_up(const Json& order);
  [[nodiscard]] Result<void> after(const Json& order);
  [[nodiscard]] Result<bool> pay(const std::string& order_id);
  [[nodiscard]] bool falls(std::string_view what, std::string_view on,
                           std::uint32_t per_mille) const;

  const StaffOptions* options_;
  simulators::StaffSession session_;
  StaffProgress progress_;
  std::map<std::string, Known> orders_;
  std::set<std::string> lists_;      ///< counted
  std::set<std::string> customers_;  ///< disabled
  std::uint64_t commands_ = 0;
  bool has_worked_ = false;
};

}  // namespace mallbots::staff
