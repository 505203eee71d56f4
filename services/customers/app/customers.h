// Customers: the application of the context. Who is registered, may order, can be reached.
//
// Who calls: gateways (each call its own transaction) and the router (authorize, in the message's),
// any thread. A completed call survives a power cut, and its event will be published (Outbox).
// Failures: the domain's refusals (customer.h); errors of the database.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "services/customers/contract.h"
#include "services/customers/domain/customer.h"
#include "services/runtime/page.h"
#include "services/runtime/unit.h"

namespace mallbots::customers {

class Customers {
 public:
  /// Makes the table if it is not there.
  [[nodiscard]] static Result<std::unique_ptr<Customers>> open(Units units);

  /// Whoever has this number, or a new customer; gives the id. The name of a known one stays.
  [[nodiscard]] Outcome<std::string> find_or_register(std::string_view name,
                                                      std::string_view sms_number,
                                                      const toolkit::Cause& cause = {});
  [[nodiscard]] Outcome<Customer> get(std::string_view id) const;
  /// kUnknown: nobody has it; kInvalid: it is none.
  [[nodiscard]] Outcome<Customer> find_by_number(std::string_view sms_number) const;
  /// By name, then id; `name_contains` in any case (of ASCII letters), empty: all.
  [[nodiscard]] Outcome<Page<Customer>> list(std::string_view name_contains,
                                             const PageRequest& page) const;
  /// kWrongState: another customer has the number.
  [[nodiscard]] Outcome<void> change_sms_number(std::string_view id, std::string_view sms_number,
                                                const toolkit::Cause& cause = {});
  [[nodiscard]] Outcome<void> enable(std::string_view id, const toolkit::Cause& cause = {});
  [[nodiscard]] Outcome<void> disable(std::string_view id, const toolkit::Cause& cause = {});

  /// The saga's question; its answer is the reply.
  [[nodiscard]] toolkit::Handled authorize(toolkit::Context& context,
                                           const customersapi::AuthorizeCustomer& command) const;

 private:
  explicit Customers(Units units) noexcept : units_(units) {}
  template <class Decide>
  [[nodiscard]] Outcome<void> change(std::string_view id, const toolkit::Cause& cause,
                                     const Decide& decide);

  Units units_;
};

}  // namespace mallbots::customers
