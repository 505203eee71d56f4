#include "services/customers/domain/customer.h"

#include "services/runtime/text.h"

namespace mallbots::customers {
namespace {

using Events = std::vector<CustomerEvent>;

Decision<void> is_registered(const Customer& customer) {
  if (!customer.id.empty()) return {};
  return refuse(RefusalKind::kUnknown, "there is no such customer");
}

}  // namespace

void Customer::apply(const CustomerEvent& event) {
  struct {
    Customer& customer;
    void operator()(const CustomerRegistered& registered) const {
      customer.name = registered.name;
      customer.sms_number = registered.sms_number;
      customer.is_enabled = true;
    }
    void operator()(const CustomerSmsChanged& changed) const {
      customer.sms_number = changed.sms_number;
    }
    void operator()(const CustomerEnabled&) const { customer.is_enabled = true; }
    void operator()(const CustomerDisabled&) const { customer.is_enabled = false; }
  } then{*this};
  std::visit(then, event);
}

CustomerDecision register_customer(const Customer& customer, std::string_view name,
                                   std::string_view sms_number) {
  auto good_name = checked_text("the customer's name", name);
  if (!good_name) return std::unexpected(good_name.error());
  auto phone = checked_phone(sms_number);
  if (!phone) return std::unexpected(phone.error());
  if (!customer.id.empty()) {
    if (customer.name == *good_name && customer.sms_number == *phone) return Events{};
    return refuse(RefusalKind::kWrongState, "a customer of that id is registered already");
  }
  return Events{CustomerRegistered{*std::move(good_name), *std::move(phone)}};
}

CustomerDecision change_sms_number(const Customer& customer, std::string_view sms_number) {
  if (auto known = is_registered(customer); !known) return std::unexpected(known.error());
  auto phone = checked_phone(sms_number);
  if (!phone) return std::unexpected(phone.error());
  if (*phone == customer.sms_number) return Events{};
  return Events{CustomerSmsChanged{*std::move(phone)}};
}

CustomerDecision enable(const Customer& customer) {
  if (auto known = is_registered(customer); !known) return std::unexpected(known.error());
  if (customer.is_enabled) return Events{};
  return Events{CustomerEnabled{}};
}

CustomerDecision disable(const Customer& customer) {
  if (auto known = is_registered(customer); !known) return std::unexpected(known.error());
  if (!customer.is_enabled) return Events{};
  return Events{CustomerDisabled{}};
}

Decision<void> authorize(const Customer& customer) {
  if (auto known = is_registered(customer); !known) return known;
  if (!customer.is_enabled) return refuse(RefusalKind::kForbidden, "the customer is disabled");
  return {};
}

}  // namespace mallbots::customers
