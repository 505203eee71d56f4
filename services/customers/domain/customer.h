// Customer: somebody who may order, found by phone number. A row in the customers database; pure
// rules, any thread.
//
//   (none) ── register ──▶ enabled ◀── enable / disable ──▶ disabled
//
// The phone number stays in this context: events carry it masked (services/README.md, "Personal
// data"). Refusals: kInvalid (blank name, no phone number), kUnknown (no such customer), kForbidden
// (authorize: the customer is disabled).
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "services/runtime/refusal.h"

namespace mallbots::customers {

struct CustomerRegistered {
  std::string name;
  std::string sms_number;
};
struct CustomerSmsChanged {
  std::string sms_number;
};
struct CustomerEnabled {};
struct CustomerDisabled {};
using CustomerEvent =
    std::variant<CustomerRegistered, CustomerSmsChanged, CustomerEnabled, CustomerDisabled>;

struct Customer {
  std::string id;  ///< empty: not registered
  std::string name;
  std::string sms_number;  ///< E.164
  bool is_enabled = false;

  void apply(const CustomerEvent& event);
};

using CustomerDecision = Decision<std::vector<CustomerEvent>>;

/// Of an id that nobody has.
[[nodiscard]] CustomerDecision register_customer(const Customer& customer, std::string_view name,
                                                 std::string_view sms_number);
[[nodiscard]] CustomerDecision change_sms_number(const Customer& customer,
                                                 std::string_view sms_number);
[[nodiscard]] CustomerDecision enable(const Customer& customer);
[[nodiscard]] CustomerDecision disable(const Customer& customer);
/// May the customer order? Changes nothing.
[[nodiscard]] Decision<void> authorize(const Customer& customer);

}  // namespace mallbots::customers
